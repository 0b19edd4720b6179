"""What else belongs on the one page of a case: the group as it stands today, lines, other banks, warnings, decisions (C6).

All of it is of the business day and live; what a decision is bound to is the dossier.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Max

from credit_rating.engine.steps import ZERO
from credit_rating.models import CreditCase, CreditLine, LoanClass, Rating, RatingStatus, Signal
from credit_rating.models.cases import ENDED, STAGES
from credit_rating.selectors.at_stake import capital_on, stakes_by, standings_of
from credit_rating.selectors.cases.dossier import total_asked
from credit_rating.selectors.exposure import Concentration, Member, alone, concentration_of, reaching_far
from credit_rating.selectors.external import Elsewhere, elsewhere_of, elsewhere_of_many
from credit_rating.selectors.lines import lines_of, lines_of_many
from credit_rating.selectors.policies import policy_on
from credit_rating.selectors.warnings import warnings_of, warnings_of_many
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor
from customers.models import CustomerKind
from customers.selectors.people import People, people_of

MOST_DECISIONS = 10


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A member of the group. `member.name` is "" for a customer that the reader does not see. `grade`: of the rating in
    force, "" without one; `level`: the worst of the five classes of its loans, 0 without one."""

    member: Member
    grade: str
    level: int


@dataclass(frozen=True, slots=True)
class Group:
    """The members with their figures on a business day, and what the whole comes to against the caps."""

    rows: list[GroupRow]
    concentration: Concentration

    @property
    def overdue(self) -> Decimal:
        return sum((row.member.overdue for row in self.rows), ZERO)


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything of the page that is live. `group` is None while an exchange rate is missing: `fault` says which. `people`:
    of a company, None for others."""

    group: Group | None
    fault: str
    lines: list[CreditLine]
    elsewhere: Elsewhere | None
    warnings: list[Signal]
    decisions: list[CreditCase]
    people: People | None


def whole_of(actor: Actor, case: CreditCase, day: dt.date) -> Whole:
    """What is known of a case's customer beside the dossier, on a day."""
    fault, group = "", None
    lines = [line for line in lines_of(actor, case.customer_id) if line.is_held]
    seen = CreditCase.objects.visible_to(actor).filter(customer_id=case.customer_id).exclude(pk=case.pk)
    others = list(seen.filter(status__in=(*STAGES, *ENDED)).select_related("product", "line"))
    try:
        amount = _promised(case, lines, [one for one in others if one.status in STAGES], day)
        group = _group(actor, case, day, amount)
    except DomainError as error:
        fault = error.message
    return Whole(
        group,
        fault,
        lines,
        elsewhere_of(actor, case.customer, day),
        warnings_of(actor, case.customer_id),
        [one for one in others if one.status in ENDED][:MOST_DECISIONS],
        people_of(actor, case.customer, day=day) if case.customer.kind == CustomerKind.CORPORATE else None,
    )


def _promised(
    case: CreditCase, lines: Iterable[CreditLine], others: Iterable[CreditCase], day: dt.date
) -> Decimal:
    """What the customer's lines then come to; what is drawn on ended ones the caps count among the loans."""
    return total_asked(case, [line for line in lines if line.is_promised], others, case.as_of or day)


def wholes_of(actor: Actor, cases: Sequence[CreditCase], day: dt.date) -> dict[int, Whole]:
    """customer -> `whole_of` its case; the cases are of different customers. Who stands alone is read together with the
    others, who reaches far (`reaching_far`) and companies one by one."""
    ids = [case.customer_id for case in cases]
    far = reaching_far(ids, day) | {c.customer_id for c in cases if c.customer.kind == CustomerKind.CORPORATE}
    found = {case.customer_id: whole_of(actor, case, day) for case in cases if case.customer_id in far}
    near = [case for case in cases if case.customer_id not in far]
    try:
        return found | _near(actor, near, day)
    except DomainError:  # an exchange rate is missing: whose, each one says
        return found | {case.customer_id: whole_of(actor, case, day) for case in near}


def _near(actor: Actor, cases: Sequence[CreditCase], day: dt.date) -> dict[int, Whole]:
    ids = [case.customer_id for case in cases]
    lines, warnings, reports = (
        lines_of_many(actor, ids), warnings_of_many(actor, ids), elsewhere_of_many(ids, day),
    )  # fmt: skip
    others: dict[int, list[CreditCase]] = defaultdict(list)
    seen = CreditCase.objects.visible_to(actor).filter(customer_id__in=ids, status__in=(*STAGES, *ENDED))
    for one in seen.exclude(pk__in=[case.pk for case in cases]).select_related("product", "line"):
        others[one.customer_id].append(one)
    policy, capital, standings = policy_on("caps", day).body, capital_on(day), standings_of(ids)
    stakes, grades, levels = stakes_by(standings, ids, day), _grades(ids, day), _levels(ids)
    found = {}
    for case in cases:
        key, told = case.customer_id, others.get(case.customer_id, [])
        held = [line for line in lines.get(key, []) if line.is_held]
        amount = _promised(case, held, [one for one in told if one.status in STAGES], day)
        late = (
            (standings[key].overdue_amount, standings[key].days_past_due) if key in standings else (ZERO, 0)
        )
        together = alone(case.customer, stakes[key], policy, capital, amount, late)
        group = Group([GroupRow(together.members[0], grades.get(key, ""), levels.get(key, 0))], together)
        ended = [one for one in told if one.status in ENDED][:MOST_DECISIONS]
        found[key] = Whole(
            group, "", held, reports.get(key), warnings.get(key, []), ended, None
        )  # fmt: skip
    return found


def _group(actor: Actor, case: CreditCase, day: dt.date, amount: Decimal) -> Group:
    """`amount`: all that the customer then has, as the authority matrix counts it."""
    found = concentration_of(actor, case.customer, day=day, limit=amount)
    ids = [member.customer_id for member in found.members]
    grades, levels = _grades(ids, day), _levels(ids)
    rows = [GroupRow(m, grades.get(m.customer_id, ""), levels.get(m.customer_id, 0)) for m in found.members]
    return Group(rows, found)


def _grades(customers: Iterable[int], day: dt.date) -> dict[int, str]:
    rated = Rating.objects.filter(
        customer_id__in=customers, status=RatingStatus.APPROVED, expires_on__gte=day
    )
    return dict(rated.values_list("customer_id", "grade"))


def _levels(customers: Iterable[int]) -> dict[int, int]:
    classes = LoanClass.objects.filter(customer_id__in=customers, until__isnull=True)
    return dict(classes.order_by().values_list("customer_id").annotate(worst=Max("level")))
