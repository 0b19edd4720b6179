"""Cleaning of what the segmentation pages are asked and told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import OrgUnit
from customers.facts import FACTS
from customers.models import CustomerKind
from segmentation.engine.policies import at_least, thresholds_of
from segmentation.models import TierPolicy
from segmentation.models.tiers import tier_label

DEPOSITS = ("deposits_adb", "deposits_balance")


class ScopeForm(forms.Form):
    """What part of the book, which scheme and which date the statistics are of. Odd values fall back."""

    unit = forms.ModelChoiceField(queryset=OrgUnit.objects.none(), required=False)
    kind = forms.ChoiceField(choices=[("", ""), *CustomerKind.choices], required=False)
    scheme = forms.ChoiceField(choices=[("value", ""), ("wealth", "")], required=False)
    day = forms.DateField(required=False)

    def __init__(self, data: Any, units: Sequence[OrgUnit]) -> None:
        super().__init__(data)
        field = self.fields["unit"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared above
        field.queryset = OrgUnit.objects.filter(pk__in=[unit.pk for unit in units])

    def value(self, name: str) -> Any:
        """The cleaned value, or None."""
        if not hasattr(self, "cleaned_data"):
            self.is_valid()
        return self.cleaned_data.get(name) or None


class MoversForm(ScopeForm):
    """Which movers: from a rank, to a rank, up or down."""

    start = forms.IntegerField(min_value=0, max_value=20, required=False)
    end = forms.IntegerField(min_value=0, max_value=20, required=False)
    direction = forms.ChoiceField(choices=[("up", ""), ("down", "")], required=False)
    after = forms.CharField(max_length=60, required=False)

    def rank(self, name: str) -> int | None:
        self.value(name)
        return self.cleaned_data.get(name)


class ThresholdForm(forms.Form):
    """The thresholds of a policy: a field for each boundary, or the condition itself where it is more than that."""

    note = forms.CharField(
        label=_("Reason"), max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, base: TierPolicy, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"note": base.note if base.status == "draft" else ""})
        self.base = base
        self.limits = {tier["code"]: thresholds_of(tier["condition"]) for tier in base.tiers[:-1]}
        note = self.fields.pop("note")
        facts = {fact for limits in self.limits.values() for fact in limits}
        for tier in base.tiers[:-1]:
            self._add_tier(tier)
        if deposits := facts & set(DEPOSITS):
            self.fields["measure"] = forms.ChoiceField(
                label=_("Deposits are"),
                choices=[
                    ("deposits_adb", _("the 30-day average")),
                    ("deposits_balance", _("the balance on the day")),
                ],
                initial=next(iter(deposits)),
            )
        self.fields["note"] = note

    def _add_tier(self, tier: Mapping[str, Any]) -> None:
        for fact, amount in self.limits[tier["code"]].items():
            self.fields[f"{tier['code']}-{fact}"] = forms.DecimalField(
                label=_("%(tier)s: %(fact)s at least") % {"tier": tier_label(dict(tier)), "fact": FACTS[fact].label},
                initial=amount, min_value=Decimal("0.01"), max_digits=17, decimal_places=2,
            )  # fmt: skip
        if not self.limits[tier["code"]]:
            self.fields[tier["code"]] = forms.JSONField(
                label=_("%(tier)s: condition") % {"tier": tier_label(dict(tier))},
                initial=tier["condition"],
                widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
                encoder=json.JSONEncoder,
            )

    def tiers(self) -> list[dict[str, Any]]:
        """The policy's tiers with the conditions typed in."""
        measure = self.cleaned_data.get("measure", "")
        found = []
        for tier in self.base.tiers[:-1]:
            limits = [
                at_least(
                    measure if fact in DEPOSITS and measure else fact,
                    self.cleaned_data[f"{tier['code']}-{fact}"],
                )
                for fact in self.limits[tier["code"]]
            ]
            condition = limits[0] if len(limits) == 1 else {"any": limits}
            found.append({**tier, "condition": condition if limits else self.cleaned_data[tier["code"]]})
        return [*found, dict(self.base.tiers[-1])]

    def take(self, fields: Mapping[str, str], message: str) -> None:
        """Put a refusal of the service beside its field."""
        for name, text in fields.items():
            alias = name.replace(DEPOSITS[0], DEPOSITS[1]) if name not in self.fields else name
            self.add_error(alias if alias in self.fields else None, text)
        if not fields:
            self.add_error(None, message)


class ProposalForm(forms.Form):
    """From which business date a version is to be in force."""

    valid_from = forms.DateField(label=_("In force from"), widget=forms.DateInput(attrs={"type": "date"}))
