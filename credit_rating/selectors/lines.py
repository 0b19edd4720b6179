"""Reads of credit lines: the list with its filters, one line with its ledger, and what the API answers."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import (
    BigIntegerField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.functions import Cast

from credit_rating.models import (
    CreditCase,
    CreditLine,
    CreditPolicy,
    LineEntry,
    LineEvent,
    LineStatus,
    Rating,
    RatingStatus,
    Reservation,
    ReservationStatus,
    SubLimit,
)
from credit_rating.models.lines import LIVING, standing
from credit_rating.policies import SHAPES, Body, read
from credit_rating.selectors.groups import connected_with
from credit_rating.selectors.policies import policy_on
from crm_site.accounts.models import OrgUnit
from crm_site.lib.dates import add_months, month_start
from crm_site.lib.money import MoneyField, money
from crm_site.lib.permissions import Actor
from customers.models import Customer, Product, ProductFamily

PAGE = 50
MOST_SUMMED = 10_000
SUBJECT = "line_control"
SUB_LIMIT_FAMILIES = (ProductFamily.LOAN, ProductFamily.TRADE)  # what a line may be drawn for
# Rungs of the expiry ladder: living lines that end within so many days, each without the rung below it.
LADDER = (30, 90, 180, 365)
LIVES = "lives"  # may be drawn on, now or later
MONTHS = 12  # of the overview's ladder; what ends after them ends "later"
LATER = "later"
NO_GRADE = "none"
# What a row of the list shows. Names as values of the line's own row: a customer, a branch, a person and a product for
# each would cost more than the rest of the page.
LISTED = ("year", "serial", "status", "starts_on", "expires_on", "currency", "limit", "reserved", "utilised")
NAMED = {
    "customer_name": F("customer__name"),
    "customer_number": F("customer__number"),
    "branch_name": F("customer__home_branch__name"),
    "manager_name": F("customer__responsible__name"),
    "product_name": F("product__name"),
}
# Bands of use in per cent of the limit: from (inclusive) to (exclusive).
BANDS = {"unused": (None, 1), "low": (0, 50), "mid": (50, 90), "high": (90, None)}


def control_policy(day: dt.date) -> Body:
    """How lines are controlled on a day; the defaults in a bank that was founded before the policy was known."""
    try:
        return policy_on(SUBJECT, day).body
    except CreditPolicy.DoesNotExist:
        shape = SHAPES[SUBJECT]
        return read(shape, shape.default(""))


# -- the list -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineQuery:
    """What the list shows: "", None and 0 mean all. `within`: a rung of LADDER; `number`: of a line or customer;
    `grade`: of the customer's rating in force, or "none"; `ends`: a month ("2027-03") of the ladder of the overview or
    "later"; `group`: a customer with everybody of its group.

    Without a status: lines that live, and expired ones that are still in use; LIVES: the former alone; with
    `everything` every line.
    """

    status: str = ""
    unit: OrgUnit | None = None
    manager_id: int | None = None
    within: int = 0
    band: str = ""
    number: str = ""
    everything: bool = False
    grade: str = ""
    ends: str = ""
    group: int = 0


@dataclass(frozen=True, slots=True)
class LinePage:
    """A page of lines with their LISTED fields and NAMED names, soonest end first, and the key of the next one ("" at
    the end)."""

    rows: Sequence[CreditLine]
    following: str


@dataclass(frozen=True, slots=True)
class Total:
    """What the lines of one currency add up to."""

    currency: str
    count: int
    limit: Decimal
    used: Decimal

    @property
    def share(self) -> Decimal:
        return self.used / self.limit if self.limit else Decimal(0)


def line_page(actor: Actor, query: LineQuery, *, day: dt.date, after: str = "") -> LinePage:
    """The lines that the actor sees and the query asks for."""
    found = _chosen(actor, query, day).only(*LISTED).annotate(**NAMED)
    if key := _read_key(after):
        ends, last = key
        found = found.filter(expires_on__gte=ends).filter(Q(expires_on__gt=ends) | Q(pk__gt=last))
    rows = list(found.order_by("expires_on", "pk")[: PAGE + 1])
    following = f"{rows[PAGE - 1].expires_on}:{rows[PAGE - 1].pk}" if len(rows) > PAGE else ""
    return LinePage(rows[:PAGE], following)


def line_totals(actor: Actor, query: LineQuery, *, day: dt.date) -> list[Total] | None:
    """The same lines added up by currency, most lines first; None for more than MOST_SUMMED: a whole bank's lines are not
    read for the head of a list, and part of a sum would be none."""
    chosen = _chosen(actor, query, day).order_by()
    if chosen.values("pk")[: MOST_SUMMED + 1].count() > MOST_SUMMED:
        return None
    sums = chosen.values("currency").annotate(
        count=Count("pk"),
        total=Sum("limit", output_field=MoneyField()),
        in_use=Sum(F("reserved") + F("utilised"), output_field=MoneyField()),
    )
    rows = [Total(r["currency"], r["count"], Decimal(r["total"]), Decimal(r["in_use"])) for r in sums]
    return sorted(rows, key=lambda total: (-total.count, total.currency))


def _chosen(actor: Actor, query: LineQuery, day: dt.date) -> QuerySet[CreditLine]:
    found = CreditLine.objects.visible_to(actor)
    if query.status == LIVES or query.grade or query.ends:
        found = found.filter(status__in=LIVING, expires_on__gte=day)
    elif query.status:
        found = found.in_status(query.status, day)
    elif not query.everything:
        used = Q(reserved__gt=money(0)) | Q(utilised__gt=money(0))
        found = found.exclude(status=LineStatus.CLOSED).filter(Q(expires_on__gte=day) | used)
    if query.unit is not None:
        found = found.filter(
            customer__home_branch__lft__gte=query.unit.lft, customer__home_branch__lft__lte=query.unit.rgt
        )
    if query.manager_id is not None:
        found = found.filter(customer__responsible_id=query.manager_id)
    if query.within in LADDER:
        below = LADDER[LADDER.index(query.within) - 1] if query.within != LADDER[0] else -1
        first, last = (day + dt.timedelta(days=n) for n in (below + 1, query.within))
        found = found.filter(status__in=LIVING, expires_on__gte=first, expires_on__lte=last)
    if query.band:
        found = _in_band(found, query.band)
    if query.grade:
        found = _graded(found, query.grade, day)
    if query.ends:
        found = found.filter(_ends(query.ends, day))
    if query.group:
        found = found.filter(customer_id__in=connected_with(query.group, day))
    return found if not query.number else found.filter(_numbered(query.number))


def _graded(found: QuerySet[CreditLine], grade: str, day: dt.date) -> QuerySet[CreditLine]:
    """Of customers with that grade in force, or with none."""
    holds = Rating.objects.filter(
        customer_id=OuterRef("customer_id"), status=RatingStatus.APPROVED, expires_on__gte=day
    )
    return found.filter(~Exists(holds) if grade == NO_GRADE else Exists(holds.filter(grade=grade)))


def ladder_end(day: dt.date) -> dt.date:
    """The first day after the months of the overview's ladder, which begins with the day's own month."""
    return add_months(month_start(day), MONTHS)


def _ends(month: str, day: dt.date) -> Q:
    if month == LATER:
        return Q(expires_on__gte=ladder_end(day))
    first = dt.date.fromisoformat(f"{month}-01")
    return Q(expires_on__gte=first, expires_on__lt=add_months(first, 1))


def _in_band(found: QuerySet[CreditLine], band: str) -> QuerySet[CreditLine]:
    """By hundredths of the limit in whole minor units, so that a boundary is exact."""
    low, high = BANDS[band]
    used = Cast(F("reserved") + F("utilised"), BigIntegerField())
    limit = Cast(F("limit"), BigIntegerField())
    found = found.annotate(
        used_hundredfold=ExpressionWrapper(used * Value(100), BigIntegerField()), limit_minor=limit
    )
    if band == "unused":
        return found.filter(used_hundredfold=0)
    if low is not None:
        above = "gt" if low == 0 else "gte"
        found = found.filter(**{f"used_hundredfold__{above}": F("limit_minor") * Value(low)})
    return found if high is None else found.filter(used_hundredfold__lt=F("limit_minor") * Value(high))


def _numbered(text: str) -> Q:
    """A line's number as people write it (ED-2026-000123, 2026-123), or a customer's number."""
    parts = text.strip().upper().removeprefix("ED-").removeprefix("SX-").split("-")
    # The customer first: a join under an OR would read every line.
    wanted = Q(
        customer_id__in=list(Customer.objects.filter(number=text.strip()).values_list("pk", flat=True))
    )
    if len(parts) == 2 and all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        wanted |= Q(year=min(int(parts[0]), 9999), serial=int(parts[1]))
    return wanted


def _read_key(text: str) -> tuple[dt.date, int] | None:
    """End and id of a page's key; None, the first page, for none or a broken one."""
    ends, _colon, key = text.partition(":")
    try:
        found = dt.date.fromisoformat(ends), int(key)
    except ValueError:
        return None
    return found if 0 <= found[1] < 2**63 else None


# -- one line -------------------------------------------------------------------------------------------------------


def seen_line(actor: Actor, line_id: int) -> CreditLine:
    """A line of a customer whom the actor sees. Raises CreditLine.DoesNotExist."""
    found = CreditLine.objects.visible_to(actor).select_related(
        "customer__home_branch", "customer__responsible", "product"
    )
    return found.get(pk=line_id)


def sub_limits(line: CreditLine) -> list[SubLimit]:
    return list(SubLimit.objects.filter(line=line).select_related("product").order_by("product__code"))


@dataclass(frozen=True, slots=True)
class AskedSubLimit:
    """A sub-limit that a case asks for; `amount` 0 takes it away. `now`: what the line has for the product, if any."""

    product: Product
    amount: Decimal
    now: Decimal | None


def asked_sub_limits(case: CreditCase) -> list[AskedSubLimit]:
    """By code. No statement for a case that asks for none."""
    if not case.sub_limits:
        return []
    held = (
        {s.product_id: Decimal(s.limit) for s in SubLimit.objects.filter(line=case.line_id)}
        if case.line_id
        else {}
    )
    products = Product.objects.filter(code__in=list(case.sub_limits)).order_by("code")
    return [AskedSubLimit(p, Decimal(case.sub_limits[p.code]), held.get(p.pk)) for p in products]


def open_reservations(line: CreditLine) -> tuple[list[Reservation], int]:
    """The reservations that hold room, the next to run out first (a page of them), and how many there are."""
    found = Reservation.objects.filter(line=line, status=ReservationStatus.RESERVED)
    return list(found.select_related("product").order_by("expires_at")[:PAGE]), found.count()


def ledger(line: CreditLine, before: int | None = None) -> tuple[list[LineEntry], int | None]:
    """A page of what moved, newest first, and the key of the page before it (None: there is none)."""
    found = LineEntry.objects.filter(line=line).select_related("product").order_by("-pk")
    rows = list((found if before is None else found.filter(pk__lt=before))[: PAGE + 1])
    return rows[:PAGE], rows[PAGE - 1].pk if len(rows) > PAGE else None


def life(line: CreditLine) -> list[LineEvent]:
    """What happened to its terms, newest first."""
    return list(LineEvent.objects.filter(line=line).select_related("by").order_by("-pk"))


def lines_of(actor: Actor, customer_id: int) -> list[CreditLine]:
    """A customer's lines: those that live first, by their end."""
    return lines_of_many(actor, [customer_id]).get(customer_id, [])


def lines_of_many(actor: Actor, customers: Collection[int]) -> dict[int, list[CreditLine]]:
    """customer -> what `lines_of` finds; without those that have none."""
    rows = CreditLine.objects.visible_to(actor).filter(customer_id__in=customers)
    found: dict[int, list[CreditLine]] = defaultdict(list)
    for line in sorted(
        rows.select_related("customer", "product"),
        key=lambda line: (line.status not in LIVING, line.expires_on, line.pk),
    ):
        found[line.customer_id].append(line)
    return dict(found)


# -- the API --------------------------------------------------------------------------------------------------------


def lines_for_api(
    actor: Actor,
    *,
    day: dt.date,
    changed_since: dt.datetime | None = None,
    customer: str = "",
    status: str = "",
) -> QuerySet[CreditLine]:
    """Lines as the API lists them: of every status, or those that stand so on `day`."""
    found = CreditLine.objects.visible_to(actor).select_related("customer", "product")
    if changed_since is not None:
        found = found.filter(changed_at__gte=changed_since)
    if customer:
        found = found.filter(customer__number=customer)
    return found.in_status(status, day) if status else found


def line_for_api(actor: Actor, line_id: int) -> CreditLine:
    """One line with its sub-limits. Raises CreditLine.DoesNotExist."""
    found = CreditLine.objects.visible_to(actor).select_related("customer", "product")
    return found.prefetch_related("sub_limits__product").get(pk=line_id)


def status_counts(actor: Actor, *, day: dt.date) -> dict[str, int]:
    """How many lines the actor sees stand in each status on a day."""
    counted: dict[str, Any] = {
        str(status): Count("pk", filter=standing(status, day)) for status in LineStatus
    }
    return dict(CreditLine.objects.visible_to(actor).aggregate(**counted))
