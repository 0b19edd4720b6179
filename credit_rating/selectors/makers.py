"""Who typed what a customer's cases and ratings rest on: a maker of it, who never decides it (C2, C6).

A figure that the core system delivered has no maker.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from credit_rating.models import CollectionStatus, Guarantee, InformationForm, Statement
from credit_rating.models.cases import MakerPart
from credit_rating.models.guarantees import LIVE
from credit_rating.selectors.groups import circles_of, recorded_around
from credit_rating.selectors.guarantees import newest_capacities, newest_valuations
from customers.timeline import start_of

TIES_COUNT_FOR = dt.timedelta(days=365)
STATEMENT_YEARS = 3  # the newest years, which ratios, trends and cash flows are computed of

Hand = tuple[int, str]  # (staff, MakerPart)


def typed_by(customers: Sequence[int]) -> dict[int, set[Hand]]:
    """customer -> who typed the figures it is rated and reckoned by: newest statements, newest submitted form."""
    found: dict[int, set[Hand]] = {customer: set() for customer in customers}
    for customer, staff_id in _of_statements(customers, STATEMENT_YEARS):
        found[customer].add((staff_id, str(MakerPart.STATEMENT)))
    forms = InformationForm.objects.filter(customer_id__in=customers, status=CollectionStatus.SUBMITTED)
    for form in forms.order_by("customer_id", "-submitted_at", "-id").distinct("customer_id"):
        typed = {cell.get("by") for cell in form.values.values()}
        found[form.customer_id] |= {
            (int(staff_id), str(MakerPart.COLLECTION))
            for staff_id in (*typed, form.submitted_by_id)
            if staff_id is not None
        }
    return found


def _of_statements(customers: Iterable[int], years: int) -> Iterator[tuple[int, int]]:
    """(customer, who entered) of the newest years of each."""
    rows = Statement.objects.filter(customer_id__in=customers).order_by("customer_id", "-year")
    newest: dict[int, int] = {}
    for customer, year, staff_id in rows.values_list("customer_id", "year", "entered_by_id"):
        if year > newest.setdefault(customer, year) - years and staff_id is not None:
            yield customer, staff_id


def secured_by(customers: Sequence[int], day: dt.date) -> dict[int, set[Hand]]:
    """customer -> who entered its live guarantees, the newest valuations up to a day of things pledged, and what its
    guarantors can carry: the newest assessment, else their newest statement."""
    found: dict[int, set[Hand]] = {customer: set() for customer in customers}
    rows = list(Guarantee.objects.filter(customer_id__in=customers, status__in=LIVE))
    if not rows:
        return found
    values = newest_valuations({g.collateral_id for g in rows if g.collateral_id}, day)
    guarantors = {g.guarantor_id for g in rows if g.guarantor_id}
    assessed = {key: row.entered_by_id for key, row in newest_capacities(guarantors, day).items()}
    carried = dict(_of_statements(guarantors - assessed.keys(), 1)) | assessed
    for g in rows:
        hands = (
            (g.entered_by_id, MakerPart.GUARANTEE),
            (
                values[g.collateral_id].entered_by_id if g.collateral_id in values else None,
                MakerPart.VALUATION,
            ),
            (carried.get(g.guarantor_id or 0), MakerPart.CAPACITY),
        )
        found[g.customer_id] |= {(staff_id, str(part)) for staff_id, part in hands if staff_id is not None}
    return found


def tied_by(limits: Mapping[int, Decimal | None], day: dt.date) -> dict[int, set[Hand]]:
    """customer -> who in the year before a day recorded or ended a tie of anybody whom its case counts: its group and
    connected customers once its lines come to a limit (None: as they are), and who would be among them but for a tie that
    has ended. Whatever the tie: a share too small, or kin, moves a cap or who may decide as much as one that joins.
    """
    since = start_of(day - TIES_COUNT_FOR)
    of_member: dict[int, set[int]] = defaultdict(set)
    for customer, members in circles_of(limits, day, since).items():
        for member in members:
            of_member[member].add(customer)
    found: dict[int, set[Hand]] = {customer: set() for customer in limits}
    for tie in recorded_around(of_member, since):
        people = (tie.recorded_by_id if tie.recorded_at >= since else None, tie.ended_by_id)
        hands = {(staff_id, str(MakerPart.TIE)) for staff_id in people if staff_id is not None}
        for customer in of_member.get(tie.customer_id, set()) | of_member.get(tie.other_id, set()):
            found[customer] |= hands
    return found


def hands_on(limits: Mapping[int, Decimal | None], day: dt.date) -> dict[int, set[Hand]]:
    """customer -> everybody with a hand in what its cases rest on, beside calculation and rating themselves. `limits`:
    what the customer's lines would come to (None: as they are)."""
    customers = list(limits)
    typed, secured, tied = typed_by(customers), secured_by(customers, day), tied_by(limits, day)
    return {customer: typed[customer] | secured[customer] | tied[customer] for customer in customers}
