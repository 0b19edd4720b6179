"""What can be asked about a customer: the facts of the one condition language (docs/architecture.md).

A fact is a name, a type, a label in both languages and an SQL expression over two aliases: `{c}`
(customers_customer) and `{s}` (customers_standing, or a night's figures under the same column names).
`{as_of}` becomes the business date. Higher rooms add their own with `add_fact` in AppConfig.ready().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from crm_site.lib.permissions import Actor, may
from crm_site.lib.registry import Registry
from customers import industries
from customers.models.parties import CustomerKind, CustomerStatus
from customers.models.people import KEY_SQL
from customers.models.standing import ALARM_BP, TIER_LABELS, VALUE_TIERS, WEALTH_LEVELS

CHURN_ALARM_BP = ALARM_BP
CHURN_ALARM_PCT = ALARM_BP // 100

ORDERED = ("=", "!=", "<", "<=", ">", ">=", "between", "in")
KNOWN = ("is_null", "not_null")
# type -> operators. "within" of a unit: it or anything below it; "=" is exactly the unit.
OPERATORS: dict[str, tuple[str, ...]] = {
    "money": ORDERED,
    "int": ORDERED,
    "percent": ORDERED,
    "date": ORDERED,
    "days": ORDERED,
    "bool": ("=", "!="),
    "choice": ("=", "!=", "in"),
    "unit": ("within", "=", "!=", "in"),
    "staff": ("=", "!=", "in"),
    "text": ("=", "!=", "in", "starts_with"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to ask about a customer.

    `sql`: minor units for money, hundredths of a per cent for percent, the stored value for a choice.
    `options`: code -> label of a choice, or how to ask for them where they are the bank's own; `stored`: code ->
    value in the database, where they differ;
    `ordered` choices compare by stored value (a tier of at least mid).
    `known`: SQL that is true where the value is known; empty: always known. An unknown value makes every
    comparison false, so that a condition is never anything but true or false.
    `dated`: known for any business date, not for the newest alone; only such facts may decide a tier.
    `unit`: what follows a figure in a sentence. `fits`: of a choice that several codes may fit at once, the SQL
    that is true where a code fits; `sql` is not used then.
    """

    name: str
    type: str
    label: Any
    sql: str
    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = field(default_factory=dict)
    stored: Mapping[str, Any] = field(default_factory=dict)
    ordered: bool = False
    known: str = ""
    dated: bool = False
    unit: Any = ""
    permission: str = "customer.read"
    fits: Callable[[str], str] | None = None
    otherwise: Any = ""

    @property
    def choices(self) -> Mapping[str, Any]:
        """code -> label, in the active bank."""
        return self.options() if callable(self.options) else self.options

    @property
    def operators(self) -> tuple[str, ...]:
        """Operators that make sense for the fact, commonest first."""
        base = OPERATORS[self.type]
        if self.ordered:
            base = (">=", "<=", ">", "<", *base, "between")
        return (*base, *KNOWN) if self.known else base


FACTS: Registry[Fact] = Registry("fact")


def add_fact(fact: Fact) -> Fact:
    """Register a fact. ValueError for a second one of the name or an unknown type."""
    if fact.type not in OPERATORS:
        raise ValueError(f"fact {fact.name!r}: unknown type {fact.type!r}")
    if "%" in fact.sql or "%" in fact.known:
        raise ValueError(f"fact {fact.name!r}: a per cent sign would be taken for a parameter")
    return FACTS.add(fact.name, fact)


def visible_facts(actor: Actor) -> list[Fact]:
    """The facts that the actor may ask about."""
    return [fact for fact in FACTS if may(actor, fact.permission)]


@dataclass(frozen=True, slots=True)
class MissingItem:
    """A thing the bank should know of a customer and does not: `sql` is true where it is missing."""

    code: str
    label: Any
    sql: str


_PERSON = "{c}.kind IN ('personal', 'household')"
_COMPANY = "{c}.kind = 'corporate'"
# What an information form would ask for (A2); a phone is asked of everybody.
MISSING_ITEMS = (
    MissingItem("birth_date", _("Date of birth"), f"{_PERSON} AND {{c}}.birth_date IS NULL"),
    MissingItem("occupation", _("Occupation"), f"{_PERSON} AND {{c}}.occupation = ''"),
    MissingItem("family", _("Family"), f"{_PERSON} AND {{c}}.family_note = ''"),
    MissingItem("founded_date", _("Founding date"), f"{_COMPANY} AND {{c}}.founded_date IS NULL"),
    MissingItem("industry", _("Industry"), f"{_COMPANY} AND {{c}}.industry = ''"),
    MissingItem("employees", _("Number of employees"), f"{_COMPANY} AND {{c}}.employees IS NULL"),
    MissingItem("experience", _("Experience"), "{c}.experience_note = ''"),
    MissingItem("preferences", _("Preferences"), "{c}.preference_note = ''"),
    MissingItem("needs", _("Needs"), "{c}.needs_note = ''"),
    MissingItem(
        "phone",
        _("Phone"),
        "NOT EXISTS (SELECT 1 FROM customers_contactpoint k WHERE k.bank_id = {c}.bank_id"
        " AND k.customer_id = {c}.id AND k.kind = 'phone')",
    ),
)


def missing_count_sql() -> str:
    """SQL over `{c}`: how many of MISSING_ITEMS are missing."""
    return "(" + " + ".join(f"({item.sql})::int" for item in MISSING_ITEMS) + ")"


def _codes(ranks: Mapping[int, str]) -> dict[str, int]:
    """code -> rank, best first, with "none" for those who have no tier (prospects)."""
    return {**{code: rank for rank, code in ranks.items()}, "none": 0}


def _labels(codes: Iterable[str]) -> dict[str, Any]:
    return {code: TIER_LABELS.get(code, _("None yet")) for code in codes}


def _choices(choices: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {str(code): label for code, label in choices}


def _money(name: str, label: Any, sql: str = "", dated: bool = False) -> Fact:
    return Fact(name, "money", label, sql or f"{{s}}.{name}", dated=dated)


_VALUE, _WEALTH = _codes(VALUE_TIERS), _codes(WEALTH_LEVELS)
_ANNIVERSARY = (
    "({c}.birth_date + make_interval(years => (date_part('year', {as_of}) - date_part('year', {c}.birth_date))::int"
    " + {next}))::date"
)
# The newest day on which a key person of a company came or went. Somebody comes on the day the post was taken up: whoever
# is entered today and has been there for years is no change, nor is an unknown day, nor who came with the company's
# founding. What becomes known of somebody who stays (a part in buying, a phone) is knowledge, not a change. Who was entered
# by mistake neither came nor went.
_KEY_CHANGE = (
    "(SELECT greatest(max(p.left_date) FILTER (WHERE p.left_date <= {as_of}),"
    " max(p.from_date) FILTER (WHERE p.from_date <= {as_of} AND p.from_date > coalesce({c}.founded_date, '-infinity')))"
    " FROM customers_contactperson p WHERE p.bank_id = {c}.bank_id AND p.customer_id = {c}.id"
    f" AND p.left_reason <> 'mistake' AND {KEY_SQL.replace('{p}', 'p')})"
)
_THIS, _NEXT = (_ANNIVERSARY.replace("{next}", n) for n in ("0", "1"))

for _fact in (
    Fact("kind", "choice", _("Customer kind"), "{s}.kind", options=_choices(CustomerKind.choices), dated=True),
    Fact("status", "choice", _("Status"), "{c}.status", options=_choices(CustomerStatus.choices)),
    Fact("is_prospect", "bool", _("Prospect"), "{c}.is_prospect", otherwise=_("Customer of the bank")),
    Fact("is_excluded", "bool", _("On the exclusion list"), "{c}.is_excluded"),
    Fact(
        "value_tier", "choice", _("Value tier"), "{s}.value_tier",
        options=_labels(_VALUE), stored=_VALUE, ordered=True,
    ),
    Fact(
        "wealth_level", "choice", _("Wealth level"), "{s}.wealth_level",
        options=_labels(_WEALTH), stored=_WEALTH, ordered=True,
    ),
    _money("deposits_adb", _("Deposits (30-day average)"), dated=True),
    _money("deposits_balance", _("Deposit balance"), dated=True),
    _money("loans", _("Loans"), dated=True),
    _money("aum", _("Assets (AUM)"), dated=True),
    _money("overdue_amount", _("Overdue amount"), dated=True),
    Fact("days_past_due", "days", _("Days past due"), "{s}.days_past_due", unit=_("days"), dated=True),
    Fact(
        "churn", "percent", _("Churn probability"), "{s}.churn_bp",
        known="{s}.churn_bp >= 0", unit="%", permission="customer.read",
    ),
    _money("adb_change", _("Change of deposits since last month-end"), "({s}.deposits_adb - {s}.adb_previous)"),
    Fact(
        "adb_change_pct", "percent", _("Relative change of deposits since last month-end"),
        "(CASE WHEN {s}.adb_previous > 0 THEN"
        " round(({s}.deposits_adb - {s}.adb_previous)::numeric * 10000 / {s}.adb_previous) END)",
        known="{s}.adb_previous > 0", unit="%",
    ),
    Fact("home_branch", "unit", _("Home branch"), "{s}.home_branch_id", known="{s}.home_branch_id IS NOT NULL"),
    Fact(
        "responsible", "staff", _("Relationship manager"), "{s}.responsible_id",
        known="{s}.responsible_id IS NOT NULL",
    ),
    Fact(
        "without_manager", "bool", _("Without a relationship manager"),
        "({s}.responsible_id IS NULL AND NOT {c}.is_prospect)",
    ),
    Fact(
        "age", "int", _("Age"), "date_part('year', age({as_of}, {c}.birth_date))::int",
        known="{c}.birth_date IS NOT NULL", dated=True, unit=_("years"),
    ),
    Fact(
        "birthday_in", "days", _("Days until the birthday"),
        f"(CASE WHEN {_THIS} >= {{as_of}} THEN {_THIS} ELSE {_NEXT} END - {{as_of}})",
        known="{c}.birth_date IS NOT NULL", dated=True, unit=_("days"),
    ),
    Fact(
        "customer_since", "date", _("Customer since"), "{c}.customer_since",
        known="{c}.customer_since IS NOT NULL", dated=True,
    ),
    Fact(
        "industry_section", "choice", _("Industry section"), "", options=industries.SECTIONS,
        fits=industries.section_sql,
        known="{c}.industry <> ''", dated=True,
    ),
    Fact(
        "industry_division", "choice", _("Industry"), industries.DIVISION_SQL, options=industries.DIVISIONS,
        known="{c}.industry <> ''", dated=True,
    ),
    Fact("industry", "text", _("Industry code"), "{c}.industry", known="{c}.industry <> ''", dated=True),
    Fact(
        "last_contact", "days", _("Days since the last contact"), "({as_of} - {s}.last_contact_date)",
        known="{s}.last_contact_date IS NOT NULL", unit=_("days"),
    ),
    Fact(
        "key_person_change_days", "days", _("Days since a key person came or left"), f"({{as_of}} - {_KEY_CHANGE})",
        known=f"{_KEY_CHANGE} IS NOT NULL", unit=_("days"),
    ),
    Fact("missing_items", "int", _("Missing data items"), missing_count_sql(), unit=_("items")),
    Fact(
        "missing", "choice", _("Missing information"), "",
        options={item.code: item.label for item in MISSING_ITEMS},
        fits={item.code: item.sql for item in MISSING_ITEMS}.__getitem__,
    ),
    Fact(
        "pays_fees", "bool", _("Paid fees in the last twelve months"),
        "EXISTS (SELECT 1 FROM customers_fee f WHERE f.bank_id = {c}.bank_id AND f.customer_id = {c}.id"
        " AND f.date > ({as_of} - interval '12 months')::date AND f.date <= {as_of})",
        dated=True,
    ),
):  # fmt: skip
    add_fact(_fact)
