"""The customer list: filtered by a condition, sorted by what has an index, paged by key in both directions.

Page 20,000 costs what page 1 costs; counts above COUNT_LIMIT are estimates and say so.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import BooleanField, Count, Q, Sum
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm_site.accounts.selectors import visible_units
from crm_site.lib.money import from_minor, to_minor
from crm_site.lib.permissions import HEADQUARTERS, OWN, SUBTREE, Actor, Role
from crm_site.lib.registry import WORK_REASONS
from crm_site.work.models import Task
from customers.conditions import compile_condition
from customers.facts import CHURN_ALARM_BP, CHURN_ALARM_PCT
from customers.industries import NAMES, key_of
from customers.models import Customer, CustomerKind, PortfolioMonth, Standing
from customers.models.parties import LINE_KINDS
from customers.models.standing import VALUE_TIERS, WEALTH_LEVELS, deposit_trend

PAGE_SIZE = 50
COUNT_LIMIT = 10_000
REAL: Mapping[str, Any] = {"fact": "is_prospect", "op": "=", "value": False}
PROSPECTS: Mapping[str, Any] = {"fact": "is_prospect", "op": "=", "value": True}
DEFAULT_SORT = "-deposits_adb"
CUSTOMER_TABLE, STANDING_TABLE = "customers_customer", "customers_standing"


@dataclass(frozen=True, slots=True)
class Sort:
    """What a list can be sorted by: each has an index that starts with the bank and ends with the customer."""

    name: str
    label: Any
    path: str  # from Standing
    is_money: bool = False
    first: str = "-"  # the direction of the first click

    @property
    def is_of_customer(self) -> bool:
        return self.path.startswith("customer__")

    @property
    def column(self) -> str:
        """The column in SQL."""
        table = CUSTOMER_TABLE if self.is_of_customer else STANDING_TABLE
        return f"{table}.{self.path.removeprefix('customer__')}"


SORTS = {
    sort.name: sort
    for sort in (
        Sort("deposits_adb", _("Deposits, ADB"), "deposits_adb", is_money=True),
        Sort("loans", _("Loans"), "loans", is_money=True),
        Sort("aum", _("AUM"), "aum", is_money=True),
        Sort("churn", pgettext_lazy("probability", "Churn"), "churn_bp"),
        Sort("name", _("Customer name"), "customer__name_sort", first=""),
    )
}


@dataclass(frozen=True, slots=True)
class CustomerQuery:
    """What a list shows: a condition (customers.conditions), and a sort ("-deposits_adb": highest first)."""

    condition: Mapping[str, Any]
    sort: str = DEFAULT_SORT

    @property
    def by(self) -> Sort:
        return SORTS[self.sort.lstrip("-")]

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


@dataclass(frozen=True, slots=True)
class NextThing:
    """The next open task of a customer that the reader may see."""

    reason: str
    params: Mapping[str, Any]
    due_date: dt.date

    @property
    def text(self) -> str:
        """The task in the reader's words."""
        return WORK_REASONS[self.reason].sentence(self.params) if self.reason in WORK_REASONS else self.reason


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A line of the list. Amounts in the bank's currency as of `as_of`; `churn` and `change` are fractions."""

    id: int
    number: str
    name: str
    kind: str
    kind_label: str
    industry: str
    is_prospect: bool
    value_tier: str
    wealth_level: str
    as_of: dt.date | None
    deposits_adb: Decimal
    deposits_balance: Decimal
    loans: Decimal
    aum: Decimal
    overdue_amount: Decimal
    days_past_due: int
    change: Decimal | None
    months: tuple[Decimal, ...]
    churn: Decimal | None
    is_alarm: bool
    last_contact_date: dt.date | None
    responsible: str
    home_branch: str
    next: NextThing | None


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """A page of rows and the cursors of its neighbours ("" where there is none)."""

    rows: Sequence[CustomerRow]
    previous: str
    next: str


@dataclass(frozen=True, slots=True)
class Totals:
    """How many customers a list has and what they hold; sums are None where only an estimate is affordable."""

    count: int
    is_estimate: bool
    deposits_adb: Decimal | None
    loans: Decimal | None


def clean_sort(text: str) -> str:
    """A sort that exists; anything else is the default."""
    return (
        text if text.lstrip("-") in SORTS and text.count("-") <= 1 and "-" not in text[1:] else DEFAULT_SORT
    )


def matching(actor: Actor, condition: Mapping[str, Any], *, as_of: dt.date) -> Any:
    """Standing rows that the actor may see and that meet the condition. Raises ConditionError."""
    return _with_condition(Standing.objects.visible_to(actor), actor, condition, as_of=as_of)


def _with_condition(found: Any, actor: Actor, condition: Mapping[str, Any], *, as_of: dt.date) -> Any:
    if not condition:
        return found
    sql, params = compile_condition(condition, c=CUSTOMER_TABLE, s=STANDING_TABLE, as_of=as_of, actor=actor)
    if CUSTOMER_TABLE in sql:
        found = found.filter(customer__bank_id=actor.bank_id)  # joins the table that the condition names
    return found.filter(RawSQL(sql, params, output_field=BooleanField()))


def customer_list(
    actor: Actor,
    query: CustomerQuery,
    *,
    as_of: dt.date,
    cursor: str = "",
    size: int = PAGE_SIZE,
    with_tasks: bool = True,
) -> CustomerPage:
    """One page of customers, one statement; another finds the next open task of each, where they are wanted."""
    forward, key = _read_cursor(query, cursor)
    found = _listed(actor, query, as_of=as_of)
    if key is not None:
        found = found.filter(_beyond(query, key, forward=forward))
    rows = list(_ordered(found, query, forward=forward).values_list(*_READ, named=True)[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    if not forward:
        rows.reverse()
    has_previous, has_next = (key is not None, more) if forward else (more, True)
    tasks = next_things(actor, [row.customer_id for row in rows]) if with_tasks else {}
    kinds = {code: str(label) for code, label in CustomerKind.choices}
    return CustomerPage(
        rows=[_row(read, kinds[read.kind], tasks.get(read.customer_id)) for read in rows],
        previous=_cursor(query, rows[0], "p") if rows and has_previous else "",
        next=_cursor(query, rows[-1], "n") if rows and has_next else "",
    )


def in_order(actor: Actor, query: CustomerQuery, *, as_of: dt.date) -> Any:
    """All Standing rows of a list, as the list sorts them."""
    return _ordered(_listed(actor, query, as_of=as_of), query, forward=True)


def neighbours(
    actor: Actor, query: CustomerQuery, standing: Standing, *, as_of: dt.date
) -> tuple[Customer | None, Customer | None]:
    """The customers before and after one in a list, by its own key: it works while rows come and go."""
    key = (_key_value(query, standing), standing.customer_id)
    found = _listed(actor, query, as_of=as_of)
    pair = []
    for forward in (False, True):
        near = _ordered(found.filter(_beyond(query, key, forward=forward)), query, forward=forward)
        first = near.select_related("customer").first()
        pair.append(first.customer if first else None)
    return pair[0], pair[1]


def list_totals(actor: Actor, query: CustomerQuery, *, as_of: dt.date) -> Totals:
    """Count and sums of a list: exact up to COUNT_LIMIT rows, else from the nightly summary or the planner."""
    summary = _from_summary(actor, query.condition)
    if summary is not None and summary.count > COUNT_LIMIT:
        return summary
    found = matching(actor, query.condition, as_of=as_of).order_by()
    head = found.values("id", "deposits_adb", "loans")[: COUNT_LIMIT + 1]
    sums = head.aggregate(deposits=Sum("deposits_adb"), loans_sum=Sum("loans"), n=Count("id"))
    if sums["n"] <= COUNT_LIMIT:
        zero = Decimal("0.00")
        return Totals(sums["n"], False, sums["deposits"] or zero, sums["loans_sum"] or zero)
    plan = json.loads(_estimable(actor, query.condition, as_of=as_of).values("id").explain(format="json"))
    return Totals(max(_rounded(int(plan[0]["Plan"]["Plan Rows"])), COUNT_LIMIT), True, None, None)


def next_things(
    actor: Actor, customer_ids: Iterable[int], *, until: dt.date | None = None
) -> dict[int, NextThing]:
    """The next open task of each customer (due `until` a date), as far as the actor may see it. One statement."""
    found: dict[int, NextThing] = {}
    due = Q() if until is None else Q(due_date__lte=until)
    tasks = (
        Task.objects.visible_to(actor)
        .open()
        .filter(due, customer_id__in=list(customer_ids))
        .order_by("due_date", "-urgency", "id")
        .values_list("customer_id", "reason", "params", "due_date")
    )
    for customer_id, reason, params, due_date in tasks:
        found.setdefault(customer_id, NextThing(reason, params, due_date))
    return found


def sees_own_alone(actor: Actor) -> bool:
    """Whether the customers that the actor sees are those the actor looks after."""
    return actor.has(OWN) and not actor.has(HEADQUARTERS | {Role.BRANCH_MANAGER})


def builtin_conditions(actor: Actor, as_of: dt.date) -> dict[str, tuple[Any, Mapping[str, Any]]]:
    """The views that everybody has: name -> (title, condition). "All" is what the reader may see."""
    quarter = dt.date(as_of.year, (as_of.month - 1) // 3 * 3 + 1, 1)
    quiet = {
        "any": [
            {"fact": "last_contact", "op": "is_null"},
            {"fact": "last_contact", "op": ">", "value": (as_of - quarter).days},
        ]
    }
    top = {"fact": "value_tier", "op": "in", "value": ["high", "mid"]}
    own = sees_own_alone(actor)
    views = {
        "all": (_("All my customers") if own else _("All customers"), REAL),
        "top": (_("High and mid"), {"all": [REAL, top]}),
        "quiet": (_("Not contacted this quarter"), {"all": [REAL, top, quiet]}),
        "churn": (_("Churn alarm"), {"all": [REAL, {"fact": "churn", "op": ">=", "value": CHURN_ALARM_PCT}]}),
        "overdue": (_("Overdue"), {"all": [REAL, {"fact": "overdue_amount", "op": ">", "value": "0"}]}),
        "incomplete": (
            _("Data incomplete"),
            {"all": [REAL, {"fact": "missing_items", "op": ">", "value": 0}]},
        ),
    }
    if not own:
        views["queue"] = (
            _("Waiting in the queue"),
            {"fact": "without_manager", "op": "=", "value": True},
        )
    views["prospects"] = (_("Prospects"), PROSPECTS)
    return views


# --- keys ---


def _key_value(query: CustomerQuery, standing: Any) -> Any:
    """What the list is sorted by, of a Standing or of a row that was read for a list."""
    path = query.by.path
    if isinstance(standing, Standing) and query.by.is_of_customer:
        return getattr(standing.customer, path.removeprefix("customer__"))
    return getattr(standing, path)


_THE_PROSPECTS = """customers_standing.customer_id = ANY (ARRAY(
    SELECT p.id FROM customers_customer p WHERE p.bank_id = %s AND p.is_prospect))"""


def _listed(actor: Actor, query: CustomerQuery, *, as_of: dt.date) -> Any:
    """The list's rows, joined to the customer where its own columns sort them."""
    found = matching(actor, query.condition, as_of=as_of)
    if query.condition == PROSPECTS or PROSPECTS in query.condition.get("all", ()):
        # They have no balances: along an index of balances they would be looked for behind all customers.
        found = found.filter(RawSQL(_THE_PROSPECTS, [actor.bank_id], output_field=BooleanField()))
    return found.filter(customer__bank_id=actor.bank_id) if query.by.is_of_customer else found


def _ordered(found: Any, query: CustomerQuery, *, forward: bool) -> Any:
    sign = "-" if query.descending == forward else ""
    return found.order_by(f"{sign}{query.by.path}", f"{sign}customer_id")


def _beyond(query: CustomerQuery, key: tuple[Any, int], *, forward: bool) -> RawSQL:
    """Rows after (or before) a key, compared as one value: the index starts right there, whatever shares the key.

    (`col <= v AND (col < v OR id < i)` walks over everybody with the same value: most customers have no loan.)
    """
    op = "<" if query.descending == forward else ">"
    value, customer_id = key
    columns = (
        f"{query.by.column}, {CUSTOMER_TABLE}.id"
        if query.by.is_of_customer
        else (f"{query.by.column}, {STANDING_TABLE}.customer_id")
    )
    plain = to_minor(value) if query.by.is_money else value
    return RawSQL(f"({columns}) {op} (%s, %s)", [plain, customer_id], output_field=BooleanField())


def _cursor(query: CustomerQuery, standing: Any, direction: str) -> str:
    value = _key_value(query, standing)
    plain = to_minor(value) if query.by.is_money else value
    packed = json.dumps([direction, query.sort, plain, standing.customer_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def _read_cursor(query: CustomerQuery, cursor: str) -> tuple[bool, tuple[Any, int] | None]:
    """(forward, key) of a cursor; the first page for none, a broken one, or one of another sort."""
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        direction, sort, value, customer_id = json.loads(packed)
    except (binascii.Error, ValueError, TypeError):
        return True, None
    expected = str if query.by.name == "name" else int
    if sort != query.sort or not isinstance(value, expected) or not isinstance(customer_id, int):
        return True, None
    if isinstance(value, str) and "\x00" in value:
        return True, None
    if abs(customer_id) >= 2**63 or (isinstance(value, int) and abs(value) >= 2**62):
        return True, None
    return direction != "p", (from_minor(int(value)) if query.by.is_money else value, customer_id)


# --- totals of large lists ---


def _estimable(actor: Actor, condition: Mapping[str, Any], *, as_of: dt.date) -> Any:
    """The same rows in words the planner can estimate: a subtree as its units. Nothing is read from it."""
    found = matching(actor, condition, as_of=as_of).order_by()
    if actor.has(HEADQUARTERS | OWN) or not actor.intervals(SUBTREE):
        return found
    units = list(visible_units(actor, SUBTREE).values_list("pk", flat=True))
    return _with_condition(Standing.objects.filter(home_branch__in=units), actor, condition, as_of=as_of)


def _from_summary(actor: Actor, condition: Mapping[str, Any]) -> Totals | None:
    """The newest nightly summary, where it can answer: the plain list of a branch, a line or the bank."""
    if condition != REAL or actor.has(OWN):
        return None
    cells = PortfolioMonth.objects.all()
    if not actor.has(HEADQUARTERS - {Role.LINE_DEPARTMENT}):
        reach = Q(pk__in=[])
        if actor.has({Role.LINE_DEPARTMENT}):
            reach |= Q(kind__in=LINE_KINDS.get(actor.line_department, ()))
        for lft, rgt in actor.intervals({Role.BRANCH_MANAGER}):
            reach |= Q(home_branch__lft__gte=lft, home_branch__lft__lte=rgt)
        cells = cells.filter(reach)
    newest = PortfolioMonth.objects.order_by("-as_of").values("as_of")[:1]
    sums = cells.filter(as_of=newest).aggregate(n=Sum("customers"), d=Sum("deposits_adb"), loans=Sum("loans"))
    if not sums["n"]:
        return None
    return Totals(sums["n"], True, sums["d"], sums["loans"])


def _rounded(count: int) -> int:
    """Three digits of an estimate: more would pretend."""
    step = 10 ** max(len(str(count)) - 3, 0)
    return round(count / step) * step


# Read as plain values: fifty rows as instances of four models take longer than the statement.
_READ = (
    "customer_id", "kind", "customer__number", "customer__name", "customer__name_sort", "customer__is_prospect",
    "customer__industry",
    "value_tier", "wealth_level", "as_of", "deposits_adb", "deposits_balance", "loans", "aum", "overdue_amount",
    "days_past_due", "adb_previous", "deposits_13", "churn_bp", "last_contact_date", "responsible__name",
    "home_branch__name",
)  # fmt: skip


def _row(read: Any, kind_label: str, task: NextThing | None) -> CustomerRow:
    """A row of the list from the columns _READ."""
    change = None
    if read.adb_previous > 0:
        change = (read.deposits_adb - read.adb_previous) / read.adb_previous
    return CustomerRow(
        id=read.customer_id,
        number=read.customer__number,
        name=read.customer__name,
        kind=read.kind,
        kind_label=kind_label,
        industry=str(NAMES.get(key_of(read.customer__industry), read.customer__industry)),
        is_prospect=read.customer__is_prospect,
        value_tier=VALUE_TIERS.get(read.value_tier, ""),
        wealth_level=WEALTH_LEVELS.get(read.wealth_level, ""),
        as_of=read.as_of,
        deposits_adb=read.deposits_adb,
        deposits_balance=read.deposits_balance,
        loans=read.loans,
        aum=read.aum,
        overdue_amount=read.overdue_amount,
        days_past_due=read.days_past_due,
        change=change,
        months=deposit_trend([from_minor(value) for value in read.deposits_13], read.deposits_adb),
        churn=Decimal(read.churn_bp) / 10_000 if read.churn_bp >= 0 else None,
        is_alarm=read.churn_bp >= CHURN_ALARM_BP,
        last_contact_date=read.last_contact_date,
        responsible=read.responsible__name or "",
        home_branch=read.home_branch__name or "",
        next=task,
    )
