"""What each person looks after, against the bounds of the grade. Reads the summary, never the customers."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from crm_site.accounts.models import GRADE_UNTIL_SET, OrgUnit, RoleGrant, Staff
from crm_site.lib.money import from_minor
from crm_site.lib.permissions import OWN, Actor
from crm_site.lib.tenancy import require_bank
from crm_site.work.models import Task
from crm_site.work.selectors import task_rows

NOTHING = Decimal("0.00")
MOST_LATE = 100  # overdue tasks that the page lists


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a manager is: customers, and their deposits and loans, each against the bound of the grade."""

    customers: int
    max_customers: int
    value: Decimal
    max_value: Decimal

    @property
    def by_customers(self) -> float:
        return self.customers / max(self.max_customers, 1)

    @property
    def by_value(self) -> float:
        return float(self.value) / max(float(self.max_value), 0.01)

    @property
    def share(self) -> float:
        """The fuller of the two as a fraction of its bound: what is shown as the load."""
        return max(self.by_customers, self.by_value)

    @property
    def is_bound_by_value(self) -> bool:
        return self.by_value > self.by_customers

    @property
    def is_over(self) -> bool:
        return self.share > 1


@dataclass(slots=True)
class Load:
    """A person's load: heads and amounts by tier rank, bounds (None: a teller), what is proposed and overdue.

    `is_teller`: looks after customers without being a relationship manager.
    """

    staff: Staff
    is_teller: bool
    max_customers: int | None
    max_value: Decimal | None
    by_tier: dict[int, int] = field(default_factory=dict)
    customers: int = 0
    deposits: Decimal = NOTHING
    loans: Decimal = NOTHING
    overdue_customers: int = 0
    overdue_amount: Decimal = NOTHING
    contacted: int = 0
    proposed: int = 0
    proposed_value: Decimal = NOTHING
    late_tasks: int = 0

    @property
    def grade(self) -> str:
        """The grade in words; of a manager whose grade nobody has set, that, and whose bounds hold."""
        if self.staff.grade or self.is_teller:
            return self.staff.get_grade_display()
        return _("no grade set: as %(grade)s") % {"grade": GRADE_UNTIL_SET.label}

    @property
    def high(self) -> int:
        return self.by_tier.get(3, 0)

    @property
    def mid(self) -> int:
        return self.by_tier.get(2, 0)

    @property
    def value(self) -> Decimal:
        return self.deposits + self.loans

    @property
    def fill(self) -> Fill | None:
        """How full the person is; None for a teller, who has no bounds."""
        return self._fill(self.customers, self.value)

    @property
    def fill_after(self) -> Fill | None:
        """The same once everything proposed is approved."""
        return self._fill(self.customers + self.proposed, self.value + self.proposed_value)

    @property
    def after(self) -> int:
        return self.customers + self.proposed

    @property
    def coverage(self) -> float | None:
        """Share of the customers with a contact in the quarter."""
        return self.contacted / self.customers if self.customers else None

    def _fill(self, customers: int, value: Decimal) -> Fill | None:
        if self.max_customers is None or self.max_value is None:
            return None
        return Fill(customers, self.max_customers, value, self.max_value)


# For each person: bounds of the grade, open proposals (how many, their value), open tasks that are late; and a row
# for each tier of the summary. Amounts in minor units.
_LOADS = """
    SELECT person.id, held.manages, cap.max_customers, cap.max_value, waiting.proposals, waiting.amount, tasks.late,
        load.value_tier, load.customers, load.deposits_adb, load.loans, load.overdue_customers, load.overdue_amount,
        load.contacted
    FROM accounts_staff person
    CROSS JOIN LATERAL (
        SELECT EXISTS (SELECT FROM accounts_rolegrant g
            WHERE g.bank_id = %(bank)s AND g.staff_id = person.id AND g.role = 'relationship_manager'
                AND g.status = 'effective' AND g.from_date <= %(day)s AND (g.to_date IS NULL OR g.to_date >= %(day)s)
        ) AS manages) held
    LEFT JOIN accounts_gradecapacity cap ON held.manages AND cap.bank_id = person.bank_id
        AND cap.grade = coalesce(nullif(person.grade, ''), %(unset)s)
    CROSS JOIN LATERAL (
        SELECT count(*) AS proposals, coalesce(sum(value), 0) AS amount FROM relationship_assignmentproposal
        WHERE bank_id = %(bank)s AND manager_id = person.id AND status = 'proposed') waiting
    CROSS JOIN LATERAL (
        SELECT count(*) AS late FROM work_task
        WHERE bank_id = %(bank)s AND owner_id = person.id AND status = 'open' AND due_date < %(day)s) tasks
    LEFT JOIN relationship_managerload load ON load.bank_id = person.bank_id AND load.manager_id = person.id
    WHERE person.bank_id = %(bank)s AND person.id = ANY (%(people)s)
    ORDER BY load.value_tier
"""


def loads(staff: Iterable[Staff], day: dt.date) -> list[Load]:
    """Loads of the given people, fullest managers first, then tellers. One statement."""
    people = {person.pk: person for person in staff}
    found: dict[int, Load] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _LOADS,
            {"bank": require_bank(), "people": list(people), "day": day, "unset": GRADE_UNTIL_SET.value},
        )
        for pk, manages, heads, value, proposals, amount, late, tier, *counted in cursor.fetchall():
            if pk not in found:
                found[pk] = Load(
                    people[pk],
                    not manages,
                    heads,
                    None if value is None else from_minor(value),
                    proposed=proposals,
                    proposed_value=from_minor(amount),
                    late_tasks=late,
                )
            if tier is not None:
                _add_tier(found[pk], tier, *counted)
    return sorted(
        found.values(),
        key=lambda x: (x.is_teller, -(x.fill.share if x.fill else 0.0), -x.customers, x.staff.number),
    )


def late_tasks(actor: Actor, people: Iterable[Load], day: dt.date) -> list[dict[str, Any]]:
    """The open tasks behind `late_tasks` of these people, longest overdue first: rows of task_rows with `owner`."""
    owners = [load.staff.pk for load in people if load.late_tasks]
    if not owners:
        return []
    late = Task.objects.visible_to(actor).open().filter(owner__in=owners, due_date__lt=day)
    listed = list(late.select_related("owner").order_by("due_date", "-stake", "id")[:MOST_LATE])
    rows = task_rows(actor, listed, day)
    return [{**row, "owner": task.owner} for row, task in zip(rows, listed, strict=True)]


def _add_tier(
    load: Load,
    tier: int,
    customers: int,
    deposits: int,
    loans: int,
    overdue: int,
    amount: int,
    contacted: int,
) -> None:
    """Add a tier's row of the summary, amounts in minor units."""
    load.by_tier[tier] = customers
    load.customers += customers
    load.deposits += from_minor(deposits)
    load.loans += from_minor(loans)
    load.overdue_customers += overdue
    load.overdue_amount += from_minor(amount)
    load.contacted += contacted


def owners_of(unit: OrgUnit, day: dt.date) -> list[Staff]:
    """People of a unit and below who may look after customers on a day."""
    grants = RoleGrant.objects.in_force(day).filter(role__in=[role.value for role in OWN])
    return list(
        Staff.objects.active()
        .filter(unit__lft__gte=unit.lft, unit__lft__lte=unit.rgt, pk__in=grants.values("staff"))
        .select_related("unit")
        .only("number", "name", "grade", "unit__name")
        .order_by("number")
    )


@dataclass(frozen=True, slots=True)
class LoadTotals:
    """The last row of a table of loads."""

    people: int
    customers: int
    high: int
    mid: int
    deposits: Decimal
    loans: Decimal
    contacted: int
    late_tasks: int
    max_customers: int

    @property
    def coverage(self) -> float | None:
        return self.contacted / self.customers if self.customers else None


def totals(rows: Iterable[Load]) -> LoadTotals:
    sums: dict[str, int] = defaultdict(int)
    deposits = loans = NOTHING
    for row in rows:
        sums["people"] += 1
        sums["customers"] += row.customers
        sums["high"] += row.high
        sums["mid"] += row.mid
        sums["contacted"] += row.contacted
        sums["late_tasks"] += row.late_tasks
        sums["max_customers"] += row.max_customers or 0
        deposits += row.deposits
        loans += row.loans
    return LoadTotals(
        people=sums["people"],
        customers=sums["customers"],
        high=sums["high"],
        mid=sums["mid"],
        deposits=deposits,
        loans=loans,
        contacted=sums["contacted"],
        late_tasks=sums["late_tasks"],
        max_customers=sums["max_customers"],
    )
