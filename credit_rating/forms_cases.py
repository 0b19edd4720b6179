"""Cleaning of what the pages of approval cases are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from credit_rating.engine.authority import Asked
from credit_rating.forms import FilterMenu, ListFilter
from credit_rating.forms_case import RefusableForm, day_field
from credit_rating.models import CaseKind, CreditLine, Delegation, LineCalculation, SubLimit, Verdict
from credit_rating.models.cases import STAGES, CreditCase
from credit_rating.models.lines import LIVING
from credit_rating.policies.authority import GUARANTEES, KINDS
from credit_rating.policies.grades import GRADES
from credit_rating.selectors.lines import SUB_LIMIT_FAMILIES
from credit_rating.selectors.waiting import AGES, LATE
from credit_rating.services.cases import Terms
from crm_site.accounts.models import Staff
from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.money import AmountField, PercentField
from crm_site.lib.permissions import ROLE_LABELS, Role
from customers.models import Customer, Product

HUNDRED = Decimal(100)
SUB_ROWS = 4


class CaseForm(RefusableForm):
    """What is asked for, and what the manager's investigation found. `rate` is written in per cent a year.

    Sub-limits: SUB_ROWS pairs of a product and an amount; 0 takes one away, what is not named stays as it is.
    """

    kind = forms.ChoiceField(label=_("Kind of case"), choices=CaseKind.choices)
    line: Any = forms.ModelChoiceField(
        CreditLine.objects.none(), label=_("Line it changes"), required=False, empty_label="–"
    )
    product: Any = forms.ModelChoiceField(Product.objects.none(), label=_("Product"), empty_label="–")
    amount = AmountField(label=_("Requested line"), min_value=Decimal("0.01"))
    currency = forms.CharField(label=_("Currency"), max_length=3, min_length=3)
    term_months = forms.IntegerField(label=_("Term, months"), min_value=1, max_value=360)
    rate = PercentField(
        label=_("Rate asked for"),
        max_digits=6,
        decimal_places=2,
        min_value=0,
        max_value=100,
        required=False,
    )
    purpose = forms.CharField(label=_("Purpose"), max_length=400)
    calculation: Any = forms.ModelChoiceField(
        LineCalculation.objects.none(), label=_("Line calculation"), required=False, empty_label=_("none")
    )
    investigation = forms.CharField(
        label=_("What the investigation found"), required=False, widget=forms.Textarea(attrs={"rows": 6})
    )

    def __init__(
        self, customer: Customer, *args: Any, case: CreditCase | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.case = case
        lines = CreditLine.objects.filter(customer=customer, status__in=[*LIVING, "expired"]).order_by("-id")
        calculations = LineCalculation.objects.filter(customer=customer).defer("content").order_by("-id")
        # A line that stands may be changed, whatever its product is for today.
        products = Product.objects.filter(family="loan").order_by("code")
        fitting = products.for_customers(customer.kind) | products.filter(pk__in=lines.values("product_id"))
        _offer(self.fields["line"], lines)
        _offer(self.fields["product"], fitting, lambda product: product.name)
        _offer(self.fields["calculation"], calculations, _named_calculation)
        held = Product.objects.filter(pk__in=SubLimit.objects.filter(line__in=lines).values("product_id"))
        drawn_for = Product.objects.for_customers(customer.kind).filter(family__in=SUB_LIMIT_FAMILIES) | held
        choices = [("", "–"), *drawn_for.order_by("code").values_list("code", "name").distinct()]
        for row in range(SUB_ROWS):
            self.fields[f"sub_product_{row}"] = forms.ChoiceField(
                label=_("Product"), choices=choices, required=False
            )
            self.fields[f"sub_amount_{row}"] = AmountField(
                label=_("Sub-limit"), min_value=Decimal(0), required=False
            )

    @property
    def main_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if not field.name.startswith("sub_")]

    @property
    def sub_rows(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        return [(self[f"sub_product_{row}"], self[f"sub_amount_{row}"]) for row in range(SUB_ROWS)]

    @property
    def has_sub_limits(self) -> bool:
        return any(product.value() or product.errors or amount.errors for product, amount in self.sub_rows)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        seen: set[str] = set()
        for row in range(SUB_ROWS):
            product, amount = given.get(f"sub_product_{row}"), given.get(f"sub_amount_{row}")
            if product in seen:
                self.add_error(f"sub_product_{row}", _("Each product once."))
            if product and amount is None and f"sub_amount_{row}" not in self.errors:
                self.add_error(f"sub_amount_{row}", _("This is needed."))
            if amount is not None and not product and f"sub_product_{row}" not in self.errors:
                self.add_error(f"sub_product_{row}", _("Choose one."))
            seen |= {product} if product else set()
        return given

    def refuse(self, error: DomainError) -> None:
        """A refusal of the sub-limits stands beside the first of them."""
        named = {
            "sub_amount_0" if name == "sub_limits" else name: text for name, text in error.fields.items()
        }
        super().refuse(DomainError(error.message, code=error.code, fields=named))

    def asked(self) -> Terms:
        """The terms as the service takes them."""
        given = self.cleaned_data
        rate, calculation = given["rate"], given["calculation"]
        return Terms(
            kind=given["kind"], product=given["product"], currency=given["currency"].upper(), amount=given["amount"],
            term_months=given["term_months"], purpose=given["purpose"], line=given["line"],
            rate_bp=None if rate is None else int(rate * HUNDRED),
            calculation_id=calculation.pk if calculation else None, sub_limits=self._sub_limits(),
        )  # fmt: skip

    def _sub_limits(self) -> dict[str, str]:
        given = self.cleaned_data
        rows = [(given[f"sub_product_{row}"], given[f"sub_amount_{row}"]) for row in range(SUB_ROWS)]
        return {product: f"{amount:.2f}" for product, amount in rows if product}


def _offer(field: Any, rows: Any, named: Callable[[Any], str] = str) -> None:
    """Let a field choose among rows, called as `named` says."""
    field.queryset, field.label_from_instance = rows, named


def _named_calculation(found: LineCalculation) -> str:
    return f"{found.number} · {found.grade} · {found.limit:,.2f} · {formats.day(found.as_of)}"


def first_values(case: CreditCase) -> dict[str, Any]:
    """A case as the form shows it."""
    return {
        "kind": case.kind, "line": case.line_id, "product": case.product_id, "amount": case.amount,
        "currency": case.currency, "term_months": case.term_months, "purpose": case.purpose,
        "rate": None if case.rate_bp is None else Decimal(case.rate_bp) / HUNDRED,
        "calculation": case.calculation_id, "investigation": case.investigation,
        **{f"sub_product_{row}": code for row, code in enumerate(case.sub_limits)},
        **{f"sub_amount_{row}": Decimal(amount) for row, amount in enumerate(case.sub_limits.values())},
    }  # fmt: skip


class OpinionForm(RefusableForm):
    """An opinion, with the hash of the dossier that it is about. Conditions: one a line."""

    verdict = forms.ChoiceField(label=_("Opinion"), choices=Verdict.choices, widget=forms.RadioSelect)
    conditions = forms.CharField(
        label=_("Conditions precedent"), required=False, help_text=_("one a line"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    text = forms.CharField(label=_("Reasons"), max_length=4000, widget=forms.Textarea(attrs={"rows": 4}))
    cap_ground = forms.CharField(
        label=_("Why the cap may be exceeded"), required=False, max_length=2000,
        help_text=_("to be written by everybody who agrees; kept with the caps as they are at that moment"),
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    dossier_hash = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def given(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        given["conditions"] = given["conditions"].splitlines()
        return given

    def sealed(self) -> tuple[str, str, str]:
        """What is said to which dossier: verdict, text, hash."""
        return self.cleaned_data["verdict"], self.cleaned_data["text"], self.cleaned_data["dossier_hash"]


class BatchForm(forms.Form):
    """Cases chosen in the inbox ("id:hash" each) and what is said of all of them."""

    text = forms.CharField(label=_("Reasons"), max_length=4000)


class StaffForm(RefusableForm):
    """A colleague, by staff number."""

    number = forms.CharField(label=_("Staff number"), max_length=32)

    def staff_id(self) -> int:
        """0 for a number that nobody has."""
        return (
            Staff.objects.filter(number=self.cleaned_data["number"].strip())
            .values_list("pk", flat=True)
            .first()
            or 0
        )


class DelegationForm(RefusableForm):
    """Who stands in, from when to when."""

    to = forms.ModelChoiceField(
        Staff.objects.none(), label=_("Who decides in my place"),
        help_text=_("colleagues who decide on credit and see the same customers"),
    )  # fmt: skip
    from_date = day_field(_("From"))
    to_date = day_field(_("Until"))

    def choose_from(self, staff: Any, roles: Mapping[int, Sequence[Role]]) -> None:
        def named(one: Staff) -> str:
            return " · ".join([one.name, one.unit.name, *(str(ROLE_LABELS[role]) for role in roles[one.pk])])

        _offer(self.fields["to"], staff, named)


class RelationForm(RefusableForm):
    """That a customer is a relative of a colleague."""

    staff_number = forms.CharField(label=_("Staff number"), max_length=32)
    customer_number = forms.CharField(label=_("Customer number"), max_length=32)
    basis = forms.CharField(label=_("Basis"), max_length=240)
    from_date = day_field(_("From"))


class AuthorityForm(forms.Form):
    """A case that does not exist: who would decide it?"""

    amount = AmountField(label=_("All that the customer then has"), min_value=Decimal("0.01"))
    grade = forms.ChoiceField(
        label=_("Grade"), choices=[("", _("not rated")), *((g, g) for g in GRADES)], required=False
    )
    kind = forms.ChoiceField(label=_("Kind of customer"), choices=KINDS)
    guarantees = forms.MultipleChoiceField(
        label=_("Guarantees"), choices=GUARANTEES, required=False, widget=forms.CheckboxSelectMultiple
    )
    above_limit = forms.BooleanField(label=_("More than was calculated"), required=False)
    without_branch = forms.BooleanField(
        label=_("Made by the branch manager himself, with nobody else at the branch to decide"),
        required=False,
    )
    breaks_cap = forms.BooleanField(label=_("Breaks a regulator's cap"), required=False)
    uncalculated = forms.BooleanField(label=_("Not calculated with the grade in force"), required=False)
    excluded = forms.BooleanField(label=_("on the exclusion list"), required=False)

    def asked(self) -> Asked:
        given = self.cleaned_data
        return Asked(
            given["amount"],
            given["grade"],
            given["kind"],
            frozenset(given["guarantees"]),
            given["above_limit"],
            given["without_branch"],
            given["breaks_cap"],
            given["uncalculated"],
            excluded=given["excluded"],
        )


class InboxFilterForm(ListFilter):
    """Whose cases the list of those to decide shows: one's own or those of a colleague whom one stands in for."""

    address = "credit_rating:inbox"
    OWN = "own"

    def __init__(self, tab: str, given: Mapping[str, str], away: Mapping[int, Delegation]) -> None:
        self.tab, self.away = tab, away
        people: dict[str, int] = {self.OWN: 0} | {str(key): key for key in away} if away else {}
        self.whose = given.get("whose", "") if given.get("whose") in people else ""
        self.person = people.get(self.whose)  # 0 for oneself, None for everybody

    def params(self) -> dict[str, str]:
        return {"tab": self.tab} | ({"whose": self.whose} if self.whose else {})

    def menus(self) -> list[FilterMenu]:
        """One menu, where one stands in for somebody."""
        people = [(str(key), one.staff.name) for key, one in self.away.items()]
        choices = [(self.OWN, _("my own")), *people]
        return [self._menu("whose", _("In place of"), choices, self.whose)] if self.away else []


class WaitingFilterForm(ListFilter):
    """The filters of the list of waiting cases, from its address and back. What is no filter is passed over."""

    address = "credit_rating:waiting"

    def __init__(self, given: Mapping[str, str]) -> None:
        self.stage = given.get("stage", "") if given.get("stage") in STAGES else ""
        self.age = given.get("age", "") if given.get("age") in (*AGES, LATE) else ""

    def params(self) -> dict[str, str]:
        return {name: value for name, value in (("stage", self.stage), ("age", self.age)) if value}

    def menus(self, labels: Mapping[str, Any]) -> list[FilterMenu]:
        """Menus of what can be chosen; `labels` names the ages."""
        stages = [(stage.value, stage.label) for stage in STAGES]
        return [
            self._menu("stage", _("Stage"), stages, self.stage),
            self._menu("age", _("Waiting for"), [(age, labels[age]) for age in (LATE, *AGES)], self.age),
        ]
