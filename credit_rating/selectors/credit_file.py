"""What the bank has put together of a credit customer, step by step: where a manager goes on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from credit_rating.engine.steps import ZERO
from credit_rating.models import CreditCase, InformationForm, LineCalculation, Rating, RatingStatus
from credit_rating.models.cases import OPEN as OPEN_CASES
from credit_rating.selectors.calculations import calculations_of
from credit_rating.selectors.collection import Known, draft_of, known_of, submitted_of
from credit_rating.selectors.guarantees import guarantees_of
from credit_rating.selectors.ratings import in_force, ratings_of
from crm_site.lib.permissions import Actor
from customers.models import Customer


@dataclass(frozen=True, slots=True)
class CreditFile:
    """`form`: the draft, else the newest that was submitted; `usable` in the bank's currency."""

    form: InformationForm | None
    known: Known
    rating: Rating | None
    rating_opened: Rating | None
    guarantees: int
    usable: Decimal
    calculation: LineCalculation | None
    cases: list[CreditCase]


def credit_file(actor: Actor, customer: Customer, day: dt.date) -> CreditFile:
    """The file on a day."""
    form = draft_of(actor, customer) or submitted_of(actor, customer)
    guarantees = guarantees_of(actor, customer, day=day)
    begun = (RatingStatus.DRAFT, RatingStatus.SUBMITTED)
    cases = CreditCase.objects.visible_to(actor).filter(customer=customer, status__in=OPEN_CASES)
    return CreditFile(
        form=form,
        known=known_of(actor, customer, form),
        rating=in_force(actor, customer, day),
        rating_opened=next((r for r in ratings_of(actor, customer) if r.status in begun), None),
        guarantees=len(guarantees),
        usable=sum((row.usable.amount for row in guarantees), ZERO),
        calculation=next(iter(calculations_of(actor, customer)), None),
        cases=list(cases.order_by("-id")[:5]),
    )
