"""Cleaning of what the pages of early warning and of five-level classes are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from credit_rating.forms import FilterMenu, ListFilter
from credit_rating.models import SignalState
from credit_rating.policies.classes import LEVELS, WORSE
from credit_rating.policies.warnings import LEVELS as GRAVITY
from credit_rating.policies.warnings import name_of
from credit_rating.selectors import warnings as selectors
from credit_rating.selectors.warnings import WarningQuery
from crm_site.lib.choices import offer
from crm_site.lib.permissions import Actor

STATES = (
    ("open", _("to be dealt with")),
    ("answered", _("answered, cause lasts")),
    ("ended", _("ended")),
)


class AnswerForm(forms.Form):
    """What its owner says of a warning: dealt with, a false alarm, or passed on to somebody; always with a note."""

    act = forms.ChoiceField(
        choices=[(SignalState.DEALT, ""), (SignalState.FALSE_ALARM, ""), ("pass_on", "")],
        widget=forms.HiddenInput,
    )
    note = forms.CharField(
        label=_("What was done or found"), max_length=400, widget=forms.Textarea(attrs={"rows": 3})
    )
    to = forms.TypedChoiceField(label=_("Colleague"), coerce=int, empty_value=None, required=False)

    def __init__(self, actor: Actor, day: dt.date, *given: Any) -> None:
        super().__init__(*given)
        people = selectors.receivers(actor, day)
        offer(self, "to", [("", ""), *((p.pk, p.name) for p in people)])

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("act") == "pass_on" and not given.get("to"):
            self.add_error("to", gettext("Choose a colleague."))
        return given


class DowngradeForm(forms.Form):
    """The class that risk sets by hand, or that what is set is lifted, and why."""

    act = forms.ChoiceField(choices=[("lower", ""), ("lift", "")], widget=forms.HiddenInput)
    level = forms.ChoiceField(label=_("At least"), choices=[("", ""), *WORSE], required=False)
    reason = forms.CharField(label=_("Reason"), max_length=400, widget=forms.Textarea(attrs={"rows": 2}))

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("act") == "lower" and not given.get("level") and "level" not in self.errors:
            self.add_error("level", gettext("This is needed."))
        return given

    @property
    def worst(self) -> int:
        """The chosen class as the engine counts."""
        return int(LEVELS[self.cleaned_data["level"]])


class WarningFilterForm(ListFilter):
    """The filters of the list of warnings, from its address and back. What is no filter is passed over."""

    address = "credit_rating:warning-list"

    def __init__(self, actor: Actor, given: Mapping[str, str]) -> None:
        self.codes = selectors.codes(actor)
        self.state = given.get("state", "") if given.get("state") in dict(STATES) else ""
        self.level = given.get("level", "") if given.get("level") in dict(GRAVITY) else ""
        self.code = given.get("rule", "")[:40]
        self.mine = "1" if given.get("mine") == "1" else ""
        self.customer = given.get("customer", "").strip()[:32]

    def query(self) -> WarningQuery:
        # Of one customer all that ever was, unless a state is asked for.
        state = self.state or ("" if self.customer else "open")
        return WarningQuery(state, self.level, self.code, bool(self.mine), self.customer)

    def params(self) -> dict[str, str]:
        """What the address carries."""
        given = {"state": self.state, "level": self.level, "rule": self.code, "mine": self.mine,
                 "customer": self.customer}  # fmt: skip
        return {name: value for name, value in given.items() if value}

    def menus(self) -> list[FilterMenu]:
        """Menus of what can be chosen."""
        states = [(code, label) for code, label in STATES if code != "open"]
        rules = [(code, name_of(code, name)) for code, name in self.codes]
        one = [self._menu("customer", _("Customer"), [(self.customer, self.customer)], self.customer)]
        return [
            *(one if self.customer else ()),
            self._menu("state", _("Status"), states, self.state, str(STATES[0][1])),
            self._menu("level", _("Level"), list(GRAVITY), self.level),
            self._menu("rule", _("Rule"), rules, self.code),
            self._menu("mine", _("Whose turn"), [("1", _("mine"))], self.mine),
        ]
