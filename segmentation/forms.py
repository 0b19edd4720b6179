"""Cleaning of what the segmentation pages are asked and told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import OrgUnit
from crm_site.lib.money import AmountField
from crm_site.lib.permissions import Actor
from customers.facts import FACTS
from customers.forms import FilterForm
from customers.models import CustomerKind
from segmentation.engine.policies import at_least, thresholds_of
from segmentation.models import TierPolicy
from segmentation.models.tiers import SCHEME_LABELS, tier_label

DEPOSITS = ("deposits_adb", "deposits_balance")


class ScopeForm(forms.Form):
    """What part of the book, which scheme and which date the statistics are of. Odd values fall back."""

    unit = forms.ModelChoiceField(queryset=OrgUnit.objects.none(), required=False)
    kind = forms.ChoiceField(choices=[("", ""), *CustomerKind.choices], required=False)
    scheme = forms.ChoiceField(choices=[("value", ""), ("wealth", "")], required=False)
    day = forms.DateField(required=False)

    def __init__(self, data: Any, units: Sequence[OrgUnit]) -> None:
        super().__init__(data)
        field = cast("forms.ModelChoiceField[OrgUnit]", self.fields["unit"])
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


def flat(condition: Mapping[str, Any] | None) -> tuple[str, list[dict[str, Any]]] | None:
    """("all" or "any", comparisons) of a condition that an editor of rows can show; None for a nested one."""
    if not condition:
        return "all", []
    how = "any" if set(condition) == {"any"} else "all"
    parts = condition.get(how, [condition])
    return (how, [dict(part) for part in parts]) if all("fact" in part for part in parts) else None


class TierEditor:
    """The condition of one tier as rows of comparisons, all or any of which must hold."""

    def __init__(self, actor: Actor, tier: Mapping[str, Any], data: Any) -> None:
        self.code, self.label, self.prefix = tier["code"], tier_label(dict(tier)), f"t{tier['rank']}x"
        how, rows = flat(tier["condition"]) or ("all", [])
        self.how = how if data is None else ("any" if data.get(f"how-{self.prefix}") == "any" else "all")
        self.rows = FilterForm(actor, data, rows=rows, prefix=self.prefix, dated=True)
        self.problem = ""

    def condition(self) -> dict[str, Any]:
        said = self.rows.said()
        return {} if not said else said[0] if len(said) == 1 else {self.how: said}


class ThresholdForm(forms.Form):
    """The rules of a policy: a field for each boundary of the bank's own two schemes, an editor of the condition for
    a tier that is more than that and for every tier of a scheme the bank has added; nested ones as they stand."""

    note = forms.CharField(
        label=_("Reason"), max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, base: TierPolicy, actor: Actor, data: Any = None) -> None:
        super().__init__(data, initial={"note": base.note if base.status == "draft" else ""})
        self.base = base
        has_limits = base.scheme.code in SCHEME_LABELS
        self.limits = {
            tier["code"]: thresholds_of(tier["condition"]) if has_limits else {} for tier in base.tiers[:-1]
        }
        self.editors = {
            tier["code"]: TierEditor(actor, tier, data)
            for tier in base.tiers[:-1]
            if not self.limits[tier["code"]] and flat(tier["condition"]) is not None
        }
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
            self.fields[f"{tier['code']}-{fact}"] = AmountField(
                label=_("%(tier)s: %(fact)s at least") % {"tier": tier_label(dict(tier)), "fact": FACTS[fact].label},
                initial=amount, min_value=Decimal("0.01"),
            )  # fmt: skip
        if not self.limits[tier["code"]] and tier["code"] not in self.editors:
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
            if tier["code"] in self.editors:
                condition = self.editors[tier["code"]].condition()
            elif not limits:
                condition = self.cleaned_data[tier["code"]]
            found.append({**tier, "condition": condition})
        return [*found, dict(self.base.tiers[-1])]

    def take(self, fields: Mapping[str, str], message: str) -> None:
        """Put a refusal of the service beside its field."""
        for name, text in fields.items():
            if name in self.editors:
                self.editors[name].problem = text
                self.add_error(None, f"{self.editors[name].label}: {text}")
                continue
            alias = name.replace(DEPOSITS[0], DEPOSITS[1]) if name not in self.fields else name
            self.add_error(alias if alias in self.fields else None, text)
        if not fields:
            self.add_error(None, message)


class SchemeForm(forms.Form):
    """A segmentation scheme of the bank's own: its name and its tiers, whose conditions come next."""

    name = forms.CharField(label=_("Name"), max_length=80)
    code = forms.RegexField(
        label=_("Short name for interfaces"), regex=re.compile(r"^[a-z][a-z0-9_]{1,19}$", re.ASCII),
        help_text=_("Lower-case letters, digits and _; it never changes."),
    )  # fmt: skip
    levels = forms.CharField(
        label=_("Tiers, the best first, one on each line"), widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_("The last one takes everybody who fits no line above it."),
    )  # fmt: skip

    def clean_levels(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["levels"].splitlines() if line.strip()]


class KindForm(forms.Form):
    """For which kind of customer a policy of its own is begun."""

    kind = forms.ChoiceField(label=_("Customer kind"), choices=CustomerKind.choices)
