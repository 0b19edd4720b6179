from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from crm_site.audit.hours import CLOSES, OPENS
from crm_site.audit.models import Action
from crm_site.audit.selectors import customer_of, matter_of, staff_of
from crm_site.audit.subjects import NAMES
from crm_site.lib.choices import offer
from crm_site.lib.permissions import Actor
from crm_site.lib.registry import WATCHES

GROUP_LABELS = (("read", _("Read or exported")), ("kept_out", _("Failed sign-in or lock-out")))
KINDS = (("staff", _("People")), ("client", _("Machine clients")), ("system", _("Jobs and commands")))


class SearchForm(forms.Form):
    """What to look for in the record. Every field is optional."""

    since = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    until = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    action = forms.ChoiceField(
        label=_("Action"), required=False, choices=[("", _("Any")), *GROUP_LABELS, *Action.choices]
    )
    object_table = forms.ChoiceField(label=_("Subject"), required=False)
    object_id = forms.IntegerField(label=_("Row"), required=False, min_value=1, max_value=2**63 - 1)
    watch = forms.ChoiceField(label=_("Out of the ordinary"), required=False)
    customer = forms.CharField(label=_("Customer number"), required=False, max_length=40)
    case = forms.CharField(label=_("Case number"), required=False, max_length=40)
    person = forms.CharField(label=_("Done by, staff number"), required=False, max_length=40)
    actor_kind = forms.ChoiceField(label=_("Done by whom"), required=False, choices=[("", _("Any")), *KINDS])
    outside = forms.BooleanField(
        label=_("Outside working hours only"), required=False,
        help_text=format_lazy(_("Before {opens}:00, from {closes}:00 on, or at a weekend"), opens=OPENS, closes=CLOSES),
    )  # fmt: skip

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._actor = actor
        subjects = sorted(((table, str(name)) for table, name in NAMES.items()), key=lambda item: item[1])
        offer(self, "object_table", [("", _("Any")), *subjects])
        offer(self, "watch", [("", _("Any")), *((watch.name, watch.label) for watch in WATCHES)])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("since") and cleaned.get("until") and cleaned["since"] > cleaned["until"]:
            self.add_error("until", _("The last day lies before the first."))
        if number := cleaned.get("customer"):
            cleaned["customer_id"] = customer_of(number)
            if cleaned["customer_id"] is None:
                self.add_error("customer", _("No customer has this number."))
        if number := cleaned.get("case"):
            cleaned["matter"] = matter_of(self._actor, number)
            if not cleaned["matter"]:
                self.add_error("case", _("No case that you may see has this number."))
        if number := cleaned.get("person"):
            cleaned["actor_id"] = staff_of(number)
            if cleaned["actor_id"] is None:
                self.add_error("person", _("Nobody has this staff number."))
        return cleaned
