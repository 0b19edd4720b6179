"""What is asked of each kind of credit customer (客户信息采集登记表), as data: sections, fields, weights (A2).

The form, its checks, completeness and what ratings and calculations read all come from here. A field's code is what
scorecards and methods know it by.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from credit_rating import words
from credit_rating.models.kinds import CreditKind
from crm_site.lib.errors import DomainError

COMPANY = (CreditKind.CORPORATE, CreditKind.SME)
PEOPLE = (CreditKind.PERSONAL, CreditKind.HOUSEHOLD)
EVERYBODY = (*COMPANY, *PEOPLE)
STATEMENT_YEARS = 3
MOST = Decimal(10) ** 15
# Where a value was taken from.
VALUE_SOURCES = tuple((c, words.SOURCES[c]) for c in ("interview", "seen", "document", "credit_bureau"))
_RECORD = (
    ("clean", gettext_lazy("24 months without arrears")), ("short", gettext_lazy("Arrears below 30 days")),
    ("long", gettext_lazy("Arrears of 30 days or more")), ("none", gettext_lazy("No credit history")),
)  # fmt: skip
_OUTLOOK = (
    ("rising", gettext_lazy("Rising")),
    ("steady", gettext_lazy("Steady")),
    ("falling", gettext_lazy("Falling")),
)
_SECURITY = (
    ("credit", gettext_lazy("Unsecured")), ("guarantor", gettext_lazy("Guaranty")),
    ("mortgage", gettext_lazy("Mortgage")), ("pledge", gettext_lazy("Pledge")), ("mixed", gettext_lazy("Several")),
)  # fmt: skip


class CollectionFault(DomainError):
    """Fields that cannot be taken like this; `fields`: code -> what is wrong."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked. `type`: money, percent (a fraction; typed as per cent), whole, text, choice.

    `weight`: its part of completeness; 0: asked, but not missed.
    """

    code: str
    label: Any
    type: str
    kinds: Sequence[str]
    weight: int = 1
    choices: Sequence[tuple[str, Any]] = ()
    unit: Any = ""
    help: Any = ""


@dataclass(frozen=True, slots=True)
class Section:
    code: str
    label: Any
    fields: tuple[Field, ...]


def _field(
    code: str, type_: str, kinds: Sequence[str], weight: int = 1, label: Any = "", **options: Any
) -> Field:
    return Field(code, label or words.INPUTS[code], type_, kinds, weight, **options)


_YEARS = pgettext_lazy("of time", "years")
SECTIONS: tuple[Section, ...] = (
    Section(
        "financial", gettext_lazy("Financial information"),
        (
            _field("own_funds", "money", COMPANY, 3),
            _field("other_sources", "money", COMPANY, 1),
            _field("growth", "percent", COMPANY, 2),
            _field("settlement_share", "percent", COMPANY, 1, gettext_lazy("Part of sales settled through this bank")),
            _field("monthly_income", "money", (CreditKind.PERSONAL,), 4, help=gettext_lazy("after tax, as proven")),
            _field("monthly_debt_service", "money", (CreditKind.PERSONAL,), 3),
            _field("household_income", "money", (CreditKind.HOUSEHOLD,), 4, help=gettext_lazy("of a year")),
            _field("household_costs", "money", (CreditKind.HOUSEHOLD,), 3, help=gettext_lazy("of a year")),
            _field("household_wages", "money", (CreditKind.HOUSEHOLD,), 2, help=gettext_lazy("of a year")),
            _field("household_members", "whole", (CreditKind.HOUSEHOLD,), 2, unit=gettext_lazy("people")),
            _field("household_assets", "money", (CreditKind.HOUSEHOLD,), 3),
            _field("household_debts", "money", (CreditKind.HOUSEHOLD,), 2),
            _field("other_banks", "money", EVERYBODY, 3),
        ),
    ),
    Section(
        "situation", gettext_lazy("Business and person"),
        (
            _field("manager_years", "whole", COMPANY, 2, gettext_lazy("Years the manager is in this trade"), unit=_YEARS),
            _field("outlook", "choice", COMPANY, 1, gettext_lazy("Outlook of the industry"), choices=_OUTLOOK),
            _field("top_five_share", "percent", COMPANY, 1, gettext_lazy("Five largest buyers' part of sales")),
            _field("environment", "choice", COMPANY, 1, gettext_lazy("Environment and safety"),
                   choices=(("a", "A"), ("b", "B"), ("c", "C"))),
            _field("job_years", "whole", (CreditKind.PERSONAL,), 2, gettext_lazy("Years in the present job"), unit=_YEARS),
            _field("housing", "choice", (CreditKind.PERSONAL,), 1, gettext_lazy("Housing"),
                   choices=(("own", gettext_lazy("Own")), ("mortgaged", gettext_lazy("Own, mortgaged")),
                            ("rented", gettext_lazy("Rented")), ("family", gettext_lazy("With the family")))),
            _field("trade", "text", (CreditKind.HOUSEHOLD,), 1, gettext_lazy("What the household lives by")),
            _field("land_mu", "whole", (CreditKind.HOUSEHOLD,), 1, gettext_lazy("Land worked"), unit=gettext_lazy("mu")),
            _field("repute", "choice", (CreditKind.HOUSEHOLD,), 2, gettext_lazy("Standing in the village"),
                   choices=(("good", gettext_lazy("Good")), ("fair", gettext_lazy("Fair")), ("poor", gettext_lazy("Poor")))),
            _field("record", "choice", EVERYBODY, 2, gettext_lazy("Credit record"), choices=_RECORD),
            _field("purpose", "text", EVERYBODY, 1, gettext_lazy("What the money is for")),
            _field("needs", "text", EVERYBODY, 0, gettext_lazy("Other needs seen")),
        ),
    ),
    Section(
        "security", gettext_lazy("Guarantees"),
        (
            _field("security", "choice", EVERYBODY, 2, gettext_lazy("How it is to be secured"), choices=_SECURITY),
            _field("security_note", "text", EVERYBODY, 0, gettext_lazy("What is offered")),
        ),
    ),
)  # fmt: skip
WEIGHT_OF_A_YEAR = 3  # of a company's statements


def sections_of(kind: str) -> list[tuple[Section, list[Field]]]:
    """The form of a kind: its sections with the fields that are asked."""
    found = [(section, [f for f in section.fields if kind in f.kinds]) for section in SECTIONS]
    return [(section, fields) for section, fields in found if fields]


def fields_of(kind: str) -> dict[str, Field]:
    """code -> field of a kind."""
    return {f.code: f for _section, fields in sections_of(kind) for f in fields}


def clean(field: Field, given: str) -> str:
    """The text that is kept of what was typed: amounts and per cents as plain decimals, percent as a fraction.

    Raises CollectionFault. Empty stays empty: not known is not zero.
    """
    text = given.strip()
    if not text or field.type == "text":
        return text[:400]
    if field.type == "choice":
        if text not in {code for code, _label in field.choices}:
            raise CollectionFault(_("This is not one of the choices."))
        return text
    try:
        number = Decimal(text.replace(",", "").replace("，", ""))
    except InvalidOperation:
        raise CollectionFault(_("Write a number.")) from None
    if not number.is_finite() or abs(number) >= MOST:
        raise CollectionFault(_("Write a number."))
    return _checked(field, number)


def _checked(field: Field, number: Decimal) -> str:
    if number < 0 and field.code != "growth":
        raise CollectionFault(_("It must be at least %s.") % 0)
    if field.type == "money" and number != number.quantize(Decimal("0.01")):
        raise CollectionFault(_("An amount has two decimals."))
    if field.type == "whole" and number != number.to_integral_value():
        raise CollectionFault(_("Write a whole number."))
    if field.type == "percent":
        if not Decimal(-90) <= number <= Decimal(1000):
            raise CollectionFault(_("Write per cent, such as 12.5."))
        return f"{number / 100:f}"
    return f"{number:f}"


def shown(field: Field, kept: str) -> str:
    """What stands in the form's box: per cent for a fraction."""
    if field.type == "percent" and kept:
        return f"{(Decimal(kept) * 100).normalize():f}"
    return kept


def completeness(kind: str, filled: Iterable[str], statement_years: int = 0) -> tuple[int, list[Field], int]:
    """(per cent, fields that are missed, years of statements that are missed) of what is known of a customer."""
    known = set(filled)
    asked = [f for f in fields_of(kind).values() if f.weight]
    whole = sum(f.weight for f in asked)
    have = sum(f.weight for f in asked if f.code in known)
    years_missed = 0
    if kind in COMPANY:
        years = min(statement_years, STATEMENT_YEARS)
        whole += WEIGHT_OF_A_YEAR * STATEMENT_YEARS
        have += WEIGHT_OF_A_YEAR * years
        years_missed = STATEMENT_YEARS - years
    return have * 100 // whole, [f for f in asked if f.code not in known], years_missed


@dataclass(frozen=True, slots=True)
class Collected:
    """A collected value with where it comes from and of which day."""

    code: str
    value: str
    as_of: dt.date
    source: str

    @property
    def number(self) -> Decimal:
        """The value of an amount, a fraction or a whole number."""
        return Decimal(self.value)


def read_values(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Collected]:
    """What an information form holds, without what is empty."""
    return {
        code: Collected(code, cell["value"], dt.date.fromisoformat(cell["as_of"]), cell["source"])
        for code, cell in values.items()
        if cell.get("value")
    }
