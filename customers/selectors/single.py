"""The single customer view (A3): one customer as far as the reader may see it, every figure with its as-of."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Min, Q
from django.db.models.expressions import RawSQL

from crm_site.lib.dates import add_months, month_end
from crm_site.lib.money import from_minor
from crm_site.lib.permissions import Actor
from crm_site.work.models import Task
from customers.facts import CHURN_ALARM_BP, MISSING_ITEMS
from customers.models import (
    Account,
    AccountHolder,
    Address,
    Card,
    ContactPoint,
    Customer,
    FxRate,
    Holding,
    Identifier,
    Interaction,
    Loan,
    LoanStatus,
    MonthEnd,
    Standing,
    StandingOrder,
    Transaction,
)
from customers.models.standing import VALUE_TIERS, WEALTH_LEVELS, deposit_trend
from customers.selectors.ties import RelatedParty, relations_of

MONTHS = 13
MATURES_SOON_DAYS = 7
ENTRIES = 30


@dataclass(frozen=True, slots=True)
class CustomerHeader:
    """Who the customer is and how it stands, for the head of its page. `churn`, `change`: fractions."""

    customer: Customer
    standing: Standing
    value_tier: str
    wealth_level: str
    churn: Decimal | None
    is_churn_alarm: bool
    change: Decimal | None
    months: tuple[Decimal, ...]
    identifiers: Sequence[Identifier]
    contact_points: Sequence[ContactPoint]


def customer_header(actor: Actor, customer_id: int) -> CustomerHeader:
    """The head of a customer's page. Raises Standing.DoesNotExist for a customer the actor does not see.

    Three statements.
    """
    standing = (
        Standing.objects.visible_to(actor)
        .select_related("customer", "customer__responsible", "customer__home_branch")
        .get(customer_id=customer_id)
    )
    customer = standing.customer
    previous = standing.adb_previous
    return CustomerHeader(
        customer=customer,
        standing=standing,
        value_tier=VALUE_TIERS.get(standing.value_tier, ""),
        wealth_level=WEALTH_LEVELS.get(standing.wealth_level, ""),
        churn=Decimal(standing.churn_bp) / 10_000 if standing.churn_bp >= 0 else None,
        is_churn_alarm=standing.churn_bp >= CHURN_ALARM_BP,
        change=(standing.deposits_adb - previous) / previous if previous > 0 else None,
        months=deposit_trend([from_minor(value) for value in standing.deposits_13], standing.deposits_adb),
        identifiers=list(Identifier.objects.filter(customer=customer).order_by("scheme")),
        contact_points=list(ContactPoint.objects.filter(customer=customer).order_by("kind", "position")),
    )


def seen_customer(actor: Actor, customer_id: int) -> Customer:
    """A customer that the actor may see; raises Customer.DoesNotExist otherwise. One statement."""
    return Customer.objects.visible_to(actor).select_related("responsible", "home_branch").get(pk=customer_id)


def sees_customer(actor: Actor, customer_id: int) -> bool:
    """Whether the actor may see a customer. One statement."""
    return bool(Customer.objects.visible_to(actor).filter(pk=customer_id).exists())


@dataclass(frozen=True, slots=True)
class TabCounts:
    """How much there is behind the tabs of a customer's page."""

    accounts: int
    loans: int
    contacts: int
    relations: int


_COUNTS = """
    select (select count(*) from customers_accountholder h
       join customers_account a on a.bank_id = h.bank_id and a.id = h.account_id
       where h.bank_id = c.bank_id and h.customer_id = c.id and a.opened_date <= %(as_of)s),
      (select count(*) from customers_loan l
       where l.bank_id = c.bank_id and l.customer_id = c.id and l.status = 'active' and l.granted_date <= %(as_of)s),
      (select count(*) from customers_interaction i where i.bank_id = c.bank_id and i.customer_id = c.id),
      (select count(*) from customers_relation r
       where r.bank_id = c.bank_id and (r.customer_id = c.id or r.other_id = c.id))
    from customers_customer c where c.bank_id = %(bank)s and c.id = %(customer)s
"""


def tab_counts(actor: Actor, customer: Customer, *, as_of: dt.date) -> TabCounts:
    """Counts for the tabs of a customer that the caller has seen, of what the panels show. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, {"bank": actor.bank_id, "customer": customer.pk, "as_of": as_of})
        return TabCounts(*cursor.fetchone())


# --- balances ---


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """Deposits (ADB) and loans at a month-end, or on the newest business date."""

    day: dt.date
    deposits: Decimal
    loans: Decimal


def balance_trend(actor: Actor, customer: Customer, *, as_of: dt.date) -> list[TrendPoint]:
    """The last 13 month-ends, and the current standing where it is newer than the last of them."""
    first = month_end(add_months(as_of, -MONTHS))
    rows = MonthEnd.objects.filter(customer_id=customer.pk, month_end__gte=first, month_end__lte=as_of)
    points = [TrendPoint(row.month_end, row.deposits_adb, row.loans) for row in rows.order_by("month_end")]
    now = Standing.objects.visible_to(actor).filter(customer=customer).first()
    if now and now.as_of and (not points or as_of > points[-1].day):
        points.append(TrendPoint(as_of, now.deposits_adb, now.loans))
    return points[-MONTHS:]


# --- accounts, loans, other products ---


@dataclass(frozen=True, slots=True)
class HeldAccount:
    """An account the customer owns or holds jointly. `balance`: end of `balance_date`, account's currency.

    `value`: the same in the bank's currency at that day's rate; None for a joint account (it counts for its
    owner), a closed one, or where no rate is known.
    """

    account: Account
    is_owner: bool
    is_open: bool
    balance: Decimal | None
    balance_date: dt.date | None
    value: Decimal | None
    matures_soon: bool


_BALANCES = """
    select a.id, b.balance, b.date
    from customers_account a
    cross join lateral (
        select balance, date from customers_balancechange b
        where b.bank_id = a.bank_id and b.account_id = a.id and b.date <= %s order by b.date desc limit 1) b
    where a.bank_id = %s and a.id = any(%s)
"""


def accounts_held(actor: Actor, customer: Customer, *, as_of: dt.date, currency: str) -> list[HeldAccount]:
    """Accounts of a customer, its own first, open ones before closed ones, largest first. Three statements."""
    held = list(
        AccountHolder.objects.visible_to(actor)
        .filter(customer=customer, account__opened_date__lte=as_of)
        .select_related("account", "account__product", "account__branch")
    )
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, [as_of, actor.bank_id, [holder.account_id for holder in held]])
        balances = {row[0]: (from_minor(row[1]), row[2]) for row in cursor.fetchall()}
    rates = _rates({holder.account.currency for holder in held} - {currency}, as_of)
    rates[currency] = Decimal(1)
    found = []
    for holder in held:
        account = holder.account
        balance, day = balances.get(account.pk, (None, None))
        is_owner = holder.role == "owner"
        is_open = account.closed_date is None or account.closed_date > as_of
        rate = rates.get(account.currency)
        days = (account.maturity_date - as_of).days if account.maturity_date else None
        counts = is_owner and is_open and balance is not None and rate is not None
        found.append(
            HeldAccount(
                account=account,
                is_owner=is_owner,
                is_open=is_open,
                balance=balance,
                balance_date=day,
                value=round((balance or Decimal(0)) * (rate or Decimal(0)), 2) if counts else None,
                matures_soon=is_open and days is not None and 0 <= days <= MATURES_SOON_DAYS,
            )
        )
    found.sort(key=lambda row: (not row.is_open, not row.is_owner, -(row.value or 0), row.account.pk))
    return found


def _rates(currencies: set[str], as_of: dt.date) -> dict[str, Decimal]:
    """The rate of each currency on a date; no statement where there is no foreign currency."""
    if not currencies:
        return {}
    rates = FxRate.objects.filter(currency__in=currencies, rate_date__lte=as_of)
    return dict(rates.order_by("currency", "-rate_date").distinct("currency").values_list("currency", "rate"))


@dataclass(frozen=True, slots=True)
class LoanRow:
    """A loan with its next instalment on or after the business date."""

    loan: Loan
    next_due: dt.date | None
    next_amount: Decimal | None


def loans_of(actor: Actor, customer: Customer, *, as_of: dt.date) -> list[LoanRow]:
    """Loans of a customer, active ones first."""
    loans = (
        Loan.objects.visible_to(actor)
        .filter(customer=customer, granted_date__lte=as_of)
        .select_related("product")
        .annotate(
            next_due=Min("instalments__due_date", filter=Q(instalments__due_date__gte=as_of)),
            next_minor=RawSQL(
                "(select i.amount from customers_loaninstalment i where i.bank_id = customers_loan.bank_id"
                " and i.loan_id = customers_loan.id and i.due_date >= %s order by i.due_date limit 1)",
                [as_of],
            ),
        )
    )
    rows = [
        LoanRow(
            loan,
            loan.next_due if loan.status == LoanStatus.ACTIVE else None,
            from_minor(loan.next_minor) if loan.next_minor is not None else None,
        )
        for loan in loans
    ]
    rows.sort(key=lambda row: (row.loan.status != LoanStatus.ACTIVE, -row.loan.outstanding, row.loan.pk))
    return rows


@dataclass(frozen=True, slots=True)
class OtherProducts:
    """Wealth holdings (newest value each), cards and standing orders that are in force."""

    holdings: Sequence[Holding]
    cards: Sequence[Card]
    standing_orders: Sequence[StandingOrder]

    @property
    def count(self) -> int:
        return len(self.holdings) + len(self.cards) + len(self.standing_orders)


def other_products(actor: Actor, customer: Customer, *, as_of: dt.date) -> OtherProducts:
    """What else the customer uses. Three statements."""
    newest = (
        Holding.objects.visible_to(actor)
        .filter(customer=customer, date__lte=as_of)
        .order_by("reference", "-date")
        .distinct("reference")
        .select_related("product")
    )
    in_force = Q(closed_date__isnull=True) | Q(closed_date__gt=as_of)
    return OtherProducts(
        holdings=[holding for holding in newest if holding.value],
        cards=list(
            Card.objects.visible_to(actor)
            .filter(in_force, customer=customer)
            .select_related("product", "account")
        ),
        standing_orders=list(
            StandingOrder.objects.filter(in_force, account__owner=customer)
            .select_related("account")
            .order_by("-amount")
        ),
    )


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Account entries, newest first, and the cursor of older ones."""

    entries: Sequence[Transaction]
    next: str


def entries_of(actor: Actor, customer: Customer, *, cursor: str = "", size: int = ENTRIES) -> EntryPage:
    """Entries on the customer's own accounts, paged by key. The caller has seen the customer. Two statements."""
    accounts = list(Account.objects.visible_to(actor).filter(owner=customer).values_list("pk", flat=True))
    found = Transaction.objects.filter(account_id__in=accounts)
    key = _entry_key(cursor)
    if key:
        day, entry_id = key
        found = found.filter(
            Q(booked_date__lt=day) | Q(booked_date=day, id__lt=entry_id), booked_date__lte=day
        )
    rows = list(found.select_related("account").order_by("-booked_date", "-id")[: size + 1])
    last = rows[size - 1] if len(rows) > size else None
    text = json.dumps([last.booked_date.isoformat(), last.id]) if last else ""
    return EntryPage(rows[:size], base64.urlsafe_b64encode(text.encode()).decode().rstrip("="))


def _entry_key(cursor: str) -> tuple[dt.date, int] | None:
    try:
        day, entry_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return dt.date.fromisoformat(day), int(entry_id)
    except (ValueError, TypeError):
        return None


# --- information and service ---


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the bank should know of a customer, item by item. `share`: the part that is known."""

    known: Sequence[tuple[str, Any]]
    missing: Sequence[tuple[str, Any]]

    @property
    def share(self) -> Decimal:
        total = len(self.known) + len(self.missing)
        return Decimal(len(self.known)) / total if total else Decimal(1)


# Which items are asked of a person, of a company, of both (see customers.facts.MISSING_ITEMS).
_COMPANY_ONLY = frozenset({"founded_date", "industry", "employees"})
_PERSON_ONLY = frozenset({"birth_date", "occupation", "family"})


def completeness(actor: Actor, customer: Customer) -> Completeness:
    """Known and missing items by the same rule as the fact `missing_items`. One statement."""
    asked = [
        item
        for item in MISSING_ITEMS
        if item.code not in (_PERSON_ONLY if customer.kind == "corporate" else _COMPANY_ONLY)
    ]
    columns = ", ".join(item.sql.replace("{c}", "c").replace("%", "%%") for item in asked)
    with connection.cursor() as cursor:
        cursor.execute(
            f"select {columns} from customers_customer c where c.bank_id = %s and c.id = %s",
            [actor.bank_id, customer.pk],
        )
        missing = cursor.fetchone()
    return Completeness(
        known=[(item.code, item.label) for item, lacks in zip(asked, missing, strict=True) if not lacks],
        missing=[(item.code, item.label) for item, lacks in zip(asked, missing, strict=True) if lacks],
    )


def addresses_of(actor: Actor, customer: Customer) -> list[Address]:
    return list(Address.objects.visible_to(actor).filter(customer=customer).order_by("kind"))


def contacts_of(
    actor: Actor, customer: Customer, *, before: tuple[dt.datetime, int] | None = None, size: int = ENTRIES
) -> list[Interaction]:
    """Contacts on every channel, newest first, one more than `size` when there are older ones."""
    found = Interaction.objects.visible_to(actor).filter(customer=customer).select_related("author")
    if before:
        at, pk = before
        found = found.filter(Q(at__lt=at) | Q(at=at, pk__lt=pk), at__lte=at)
    return list(found.order_by("-at", "-id")[: size + 1])


def open_tasks(actor: Actor, customer: Customer, *, size: int = 20) -> list[Task]:
    """The open tasks about the customer that the actor may see, soonest first."""
    found = Task.objects.visible_to(actor).open().filter(customer_id=customer.pk).select_related("owner")
    return list(found.order_by("due_date", "-urgency", "id")[:size])


def next_maturity(actor: Actor, customer: Customer, *, as_of: dt.date) -> Account | None:
    """The open account that matures within the next seven days, if there is one."""
    until = as_of + dt.timedelta(days=MATURES_SOON_DAYS)
    found = Account.objects.visible_to(actor).filter(
        Q(closed_date__isnull=True) | Q(closed_date__gt=as_of),
        owner=customer, maturity_date__gte=as_of, maturity_date__lte=until,
    )  # fmt: skip
    return found.order_by("maturity_date", "id").first()


# --- the whole of it, for the API and print ---


@dataclass(frozen=True, slots=True)
class CustomerView:
    """Everything about one customer that this room knows, for machines and the printed page."""

    header: CustomerHeader
    accounts: Sequence[HeldAccount]
    loans: Sequence[LoanRow]
    products: OtherProducts
    relations: Sequence[RelatedParty]
    addresses: Sequence[Address]
    trend: Sequence[TrendPoint]


def customer_view(actor: Actor, customer_id: int, *, as_of: dt.date, currency: str) -> CustomerView:
    """The single view of a customer. Raises Standing.DoesNotExist for one the actor does not see."""
    header = customer_header(actor, customer_id)
    customer = header.customer
    return CustomerView(
        header=header,
        accounts=accounts_held(actor, customer, as_of=as_of, currency=currency),
        loans=loans_of(actor, customer, as_of=as_of),
        products=other_products(actor, customer, as_of=as_of),
        relations=relations_of(actor, customer),
        addresses=addresses_of(actor, customer),
        trend=balance_trend(actor, customer, as_of=as_of),
    )
