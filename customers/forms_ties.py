"""What people type of a tie between two customers. No rule of the bank lives here."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm_site.lib.money import PercentField
from customers.forms import ServiceForm, SubmissionForm
from customers.models import Customer, RelationKind, TieEnd
from customers.models.ties import SYMMETRIC, fits
from customers.ties import say_direction


def _day() -> forms.DateInput:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class TieForm(SubmissionForm):
    """A tie with a customer that has been chosen: kind and direction are one sentence."""

    tie = forms.ChoiceField(label=_("What ties them"), widget=forms.RadioSelect)
    share = PercentField(
        label=_("Share"), required=False, max_digits=7, decimal_places=4,
        help_text=_("of an owner or parent: what it holds; of a supplier: of its sales. Without it nobody is taken to control."),
    )  # fmt: skip
    from_date = forms.DateField(
        label=pgettext_lazy("tie", "Since"),
        required=False,
        widget=_day(),
        help_text=_("empty where it is not known"),
    )
    evidence = forms.CharField(
        label=_("How the bank knows"), max_length=200,
        help_text=_("articles of association, company register, who told it and when"),
    )  # fmt: skip

    def __init__(self, *args: Any, customer: Customer, other: Customer, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["tie"]
        field.choices = [
            (f"{kind.value}:{way}", say_direction(kind.value, way == "from", customer.name, name))
            for kind in RelationKind
            for way in (("from",) if kind in SYMMETRIC else ("from", "to"))
            if fits(kind.value, *((customer, other) if way == "from" else (other, customer)))
        ]

    def told(self) -> dict[str, Any]:
        """What the service takes of it."""
        found = dict(self.cleaned_data)
        kind, _colon, way = found.pop("tie").partition(":")
        share = found.pop("share")
        return {
            **found,
            "kind": kind,
            "is_from": way == "from",
            "share": None if share is None else share / 100,
        }


class _Mistake(forms.HiddenInput):
    """Offers a mistake, whatever was sent: the form may have been opened before anything counted the tie."""

    def format_value(self, value: Any) -> str:
        return TieEnd.MISTAKE.value


class TieEndForm(ServiceForm):
    """When a recorded tie ended, and why."""

    ended_date = forms.DateField(label=_("Ended on"), widget=_day())
    reason = forms.ChoiceField(label=_("Why"), choices=TieEnd, initial=TieEnd.OVER, widget=forms.RadioSelect)
    note = forms.CharField(label=_("Note"), max_length=200, required=False)

    def __init__(self, *args: Any, is_held: bool = False, **kwargs: Any) -> None:
        """`is_held`: while something counts the tie it ends as a mistake alone, with its reason."""
        super().__init__(*args, **kwargs)
        if is_held:
            self.fields["reason"] = forms.ChoiceField(choices=TieEnd, widget=_Mistake)
            self.fields["note"].label, self.fields["note"].required = _("Why it is a mistake"), True
