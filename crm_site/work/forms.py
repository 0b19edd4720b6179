"""Cleaning of what is typed into task forms."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from crm_site.lib.permissions import Actor
from crm_site.work import selectors


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class StaffField(forms.TypedChoiceField):
    """A choice among the people whom the actor may give work to; its value is a staff id."""

    def __init__(self, **options: Any) -> None:
        super().__init__(coerce=int, **options)

    def offer(self, actor: Actor, *, but: int = 0) -> None:
        people = selectors.possible_owners(actor).select_related("unit").exclude(pk=but)
        self.choices = [("", "–"), *((p.pk, f"{p.name} · {p.unit.name}") for p in people[:500])]


class ResultForm(forms.Form):
    result = forms.CharField(
        label=_("Result"), max_length=200, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, needed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["result"].required = needed


class LaterForm(forms.Form):
    until = forms.DateField(label=_("Show again on"), widget=DateInput())

    def __init__(self, *args: Any, as_of: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"].widget.attrs["min"] = (as_of + dt.timedelta(days=1)).isoformat()
        self.initial.setdefault("until", as_of + dt.timedelta(days=1))


class HandOverForm(forms.Form):
    to = StaffField(label=_("Hand over to"))
    note = forms.CharField(label=_("Note"), max_length=200, required=False)

    def __init__(self, *args: Any, actor: Actor, owner_id: int | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("StaffField", self.fields["to"]).offer(actor, but=owner_id or 0)


class TaskForm(forms.Form):
    text = forms.CharField(label=_("What is to be done"), max_length=200)
    due_date = forms.DateField(label=_("Until"), widget=DateInput())
    owner = StaffField(label=_("Responsible person"), required=False, empty_value=None)
    customer = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput()
    )

    def __init__(self, *args: Any, actor: Actor, as_of: dt.date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor, self.as_of = actor, as_of
        cast("StaffField", self.fields["owner"]).offer(actor)
        self.initial.setdefault("due_date", as_of)
        self.initial.setdefault("owner", actor.staff_id)

    def clean_due_date(self) -> dt.date:
        due: dt.date = self.cleaned_data["due_date"]
        if due < self.as_of:
            raise forms.ValidationError(_("This day has passed."))
        return due

    def clean_customer(self) -> int | None:
        """A customer that the actor may not see is nobody's business here."""
        number: int | None = self.cleaned_data["customer"]
        if number is not None and number not in selectors.subjects_of(self.actor, [number]):
            raise forms.ValidationError(_("There is no such customer."))
        return number
