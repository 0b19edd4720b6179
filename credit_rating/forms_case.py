"""Cleaning of what the pages of a credit customer are told: calculation, statements, guarantees, registers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from credit_rating import words
from credit_rating.engine.ratios import ALL_ITEMS, ITEMS
from credit_rating.engine.steps import ZERO
from credit_rating.forms import FilterMenu, ListFilter
from credit_rating.models import RelatedKind, Statement
from credit_rating.policies.grades import GRADES
from credit_rating.policies.haircuts import TYPE_CHOICES
from credit_rating.policies.methods import SHAPE as METHODS
from credit_rating.policies.pricing import DISCOUNT_LABELS
from credit_rating.selectors import registers
from credit_rating.selectors.calculations import Terms, WhatIf
from credit_rating.selectors.registers import PartyQuery
from credit_rating.services.guarantees import Proof, Thing
from crm_site.lib.errors import DomainError
from crm_site.lib.money import AmountField, PercentField

HUNDRED = Decimal(100)
PARTY_SOURCES = {
    registers.BANK: _("the bank's register"),
    registers.CORE: _("core banking"),
    registers.PAST: _("ended or not yet begun"),
}
MOST = Decimal(10) ** 14


def day_field(label: Any, **options: Any) -> forms.DateField:
    """A day in the browser's own field, which takes YYYY-MM-DD alone and shows any other form as empty."""
    return forms.DateField(
        label=label, widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}), **options
    )


def _money(label: Any, **options: Any) -> AmountField:
    return AmountField(**{"label": label, "localize": False, "min_value": ZERO, "max_value": MOST, **options})


class RefusableForm(forms.Form):
    """A form beside whose fields a service's refusal stands."""

    def refuse(self, error: DomainError) -> None:
        """Put a refusal beside the fields it names, or above the form."""
        named = {name: text for name, text in error.fields.items() if name in self.fields}
        for name, text in named.items():
            self.add_error(name, text)
        if not named:
            self.add_error(None, error.message)


class CalculationForm(RefusableForm):
    """What is asked for, and what is tried. `coefficients`: those of the kind that may be tried, as the policy has them."""

    grade = forms.ChoiceField(label=_("Grade"), choices=[(g, g) for g in GRADES])
    requested = _money(_("Requested line"), required=False)
    term_months = forms.IntegerField(label=_("Term, months"), min_value=1, max_value=360)
    discount = forms.ChoiceField(label=_("Relationship discount"), choices=list(DISCOUNT_LABELS.items()))
    tried_type = forms.ChoiceField(
        label=_("More collateral"), choices=[("", _("none")), *TYPE_CHOICES], required=False
    )
    tried_value = _money(_("Worth"), required=False)

    def __init__(self, data: Any, *, kind: str, **options: Any) -> None:
        super().__init__(data, **options)
        table = next(t for t in METHODS.tables if t.name == kind)
        self.coefficients = [c for c in table.columns if c.name not in ("grade", "cap")]
        share = next(c for c in METHODS.params if c.name == "guarantee_share_pct")
        for column in (*self.coefficients, share):
            is_pct = column.type == "percent"
            made = PercentField if is_pct else forms.DecimalField
            self.fields[f"try_{column.name}"] = made(
                label=column.label, required=False, min_value=ZERO,
                max_value=HUNDRED if is_pct else column.maximum,
            )  # fmt: skip
        self._percent = {c.name for c in (*self.coefficients, share) if c.type == "percent"}

    def asked(self) -> Terms:
        """The terms of a valid form."""
        given = self.cleaned_data
        return Terms(given["grade"], given["term_months"], given["requested"] or ZERO, given["discount"])

    def tried(self) -> WhatIf:
        """The what-if of a valid form."""
        given = self.cleaned_data
        coefficients = {
            name.removeprefix("try_"): value / HUNDRED
            if name.removeprefix("try_") in self._percent
            else value
            for name, value in given.items()
            if name.startswith("try_") and value is not None
        }
        return WhatIf(given["tried_type"], given["tried_value"] or ZERO, coefficients)

    @property
    def tried_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("try_")]


class StatementForm(RefusableForm):
    """A year's statement, item by item. `base`: when the one that was opened had been entered."""

    report_date = day_field(_("As of"))
    is_audited = forms.BooleanField(label=_("Audited"), required=False)
    auditor = forms.CharField(label=_("Audit firm"), max_length=120, required=False)
    explanation = forms.CharField(
        label=_("What changed much, and why"),
        max_length=400,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    base = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for item in ALL_ITEMS:
            self.fields[item] = _money(words.ITEMS[item], required=False, min_value=-MOST)

    @classmethod
    def of(cls, statement: Statement | None, year: int) -> StatementForm:
        """The form of a statement, or an empty one."""
        if statement is None:
            return cls(initial={"report_date": dt.date(year, 12, 31)})
        initial = {
            **statement.figures, "report_date": statement.report_date, "is_audited": statement.is_audited,
            "auditor": statement.auditor, "explanation": statement.explanation,
            "base": statement.entered_at.isoformat(),
        }  # fmt: skip
        return cls(initial=initial)

    def clean_base(self) -> dt.datetime | None:
        text = self.cleaned_data["base"]
        try:
            return dt.datetime.fromisoformat(text) if text else None
        except ValueError:
            raise forms.ValidationError(_("Open the form again.")) from None

    def figures(self) -> dict[str, Decimal]:
        """item -> amount of what was given."""
        return {
            item: self.cleaned_data[item] for item in ALL_ITEMS if self.cleaned_data.get(item) is not None
        }

    @property
    def sheets(self) -> list[tuple[Any, list[forms.BoundField]]]:
        return [(words.SHEETS[sheet], [self[item] for item in items]) for sheet, items in ITEMS.items()]


class StatementFileForm(RefusableForm):
    """A file with several years."""

    MOST_BYTES = 5 * 1024 * 1024
    file = forms.FileField(label=_("File (.xlsx or .csv)"))
    explanation = forms.CharField(
        label=_("What changed much, and why"),
        max_length=400,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > self.MOST_BYTES:
            raise forms.ValidationError(_("The file is too large."))
        if not file.name.lower().endswith((".xlsx", ".csv")):
            raise forms.ValidationError(_("Choose a .xlsx or .csv file."))
        return file


class _PeriodForm(RefusableForm):
    from_date = day_field(_("From"))
    to_date = day_field(_("Until"), required=False)
    note = forms.CharField(label=_("Note"), max_length=400, required=False)


class ThingForm(_PeriodForm):
    """What is mortgaged or pledged, and its first valuation."""

    asset_type = forms.ChoiceField(label=_("Type"), choices=TYPE_CHOICES)
    registration_number = forms.CharField(
        label=_("Registration number"),
        max_length=80,
        help_text=_("by this number the bank knows the thing again"),
    )
    name = forms.CharField(label=_("What it is"), max_length=160)
    owner_name = forms.CharField(label=_("Whose it is"), max_length=160, required=False)
    amount = _money(_("Secures at most"), min_value=Decimal("0.01"))
    lien_order = forms.IntegerField(label=_("Rank"), min_value=1, max_value=20, initial=1)
    prior_liens = _money(_("Claims of others that come before"), required=False)
    value = _money(_("Assessed value"), min_value=Decimal("0.01"))
    valued_on = day_field(_("Valued on"))
    valuer = forms.CharField(label=_("Valuer"), max_length=120)
    field_order = (
        "asset_type", "name", "registration_number", "owner_name", "value", "valued_on", "valuer", "amount",
        "lien_order", "prior_liens", "from_date", "to_date", "note",
    )  # fmt: skip

    def given(self) -> dict[str, Any]:
        """Arguments of services.guarantees.mortgage_thing."""
        data = dict(self.cleaned_data)
        names = ("asset_type", "registration_number", "name", "owner_name")
        thing = Thing(**{name: data.pop(name) for name in names})
        return {**data, "prior_liens": data["prior_liens"] or ZERO, "thing": thing}


class PromiseForm(_PeriodForm):
    """A guarantor's promise."""

    guarantor_number = forms.CharField(label=_("Guarantor's customer number"), max_length=32)
    amount = _money(_("Guarantees at most"), min_value=Decimal("0.01"))
    is_joint = forms.BooleanField(label=_("Joint and several liability"), required=False, initial=True)
    field_order = ("guarantor_number", "amount", "is_joint", "from_date", "to_date", "note")


class ValuationForm(RefusableForm):
    """A new valuation, or a new assessment of a guarantor."""

    value = _money(_("Assessed value"))
    valued_on = day_field(_("Valued on"))
    valuer = forms.CharField(label=_("Valuer"), max_length=120)

    def __init__(self, *args: Any, is_guarantor: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        if is_guarantor:
            self.fields["value"].label = _("Capacity to guarantee")
            self.fields["valued_on"].label = _("Assessed on")
            self.fields["valuer"].label = _("Basis")


class ProofForm(RefusableForm):
    """What shows that a guarantee is signed and registered."""

    proof_number = forms.CharField(label=_("Number of the registration certificate"), max_length=80)
    proof_on = day_field(_("Registered on"))
    proof_note = forms.CharField(label=_("Note"), max_length=400, required=False)

    def __init__(self, *args: Any, is_thing: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        if not is_thing:
            self.fields["proof_number"].label = _("Number of the contract")
            self.fields["proof_on"].label = _("Signed on")

    def proof(self) -> Proof:
        """The proof of a valid form."""
        given = self.cleaned_data
        return Proof(given["proof_number"], given["proof_on"], given["proof_note"])


class CapitalForm(RefusableForm):
    as_of = day_field(_("As of"))
    net_capital = _money(_("Net capital"), max_digits=19, max_value=Decimal(10) ** 16)
    tier1_net_capital = _money(_("Tier-1 net capital"), max_digits=19, max_value=Decimal(10) ** 16)
    source = forms.CharField(label=_("Source"), max_length=160)


class RelatedPartyForm(RefusableForm):
    customer_number = forms.CharField(label=_("Customer number"), max_length=32)
    kind = forms.ChoiceField(label=_("Kind"), choices=RelatedKind.choices)
    basis = forms.CharField(label=_("Why"), max_length=240)
    from_date = day_field(_("From"))
    to_date = day_field(_("Until"), required=False)


class PartyFilterForm(ListFilter):
    """The filters of the register of related parties, from its address and back. What is no filter is passed over."""

    address = "credit_rating:registers"

    def __init__(self, given: Mapping[str, str]) -> None:
        self.source = given.get("source", "") if given.get("source") in registers.SOURCES else ""
        self.kind = given.get("kind", "") if given.get("kind") in RelatedKind.values else ""
        self.near = "1" if given.get("near") == "1" else ""
        self.text = given.get("q", "").strip()[:80]
        self.after = given.get("after", "")[:60]
        relative = given.get("relative", "")
        self.relative = (
            int(relative) if relative.isascii() and relative.isdigit() and len(relative) < 19 else 0
        )

    def query(self) -> PartyQuery:
        return PartyQuery(self.source, self.kind, bool(self.near), self.text)

    def params(self) -> dict[str, str]:
        given = {"source": self.source, "kind": self.kind, "near": self.near, "q": self.text}
        return {name: value for name, value in given.items() if value}

    def menus(self) -> list[FilterMenu]:
        return [
            self._menu(
                "source", _("Source"), list(PARTY_SOURCES.items()), self.source, str(_("whoever holds"))
            ),
            self._menu("kind", _("Kind"), list(RelatedKind.choices), self.kind),
            self._menu("near", _("Cap used"), [("1", _("near a cap or over it"))], self.near),
        ]


class EndForm(RefusableForm):
    to_date = day_field(_("Until"))


def base_of(text: str) -> dict[str, str]:
    """The values a collection form was opened with; nothing for what cannot be read."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
