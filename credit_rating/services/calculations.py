"""Saving a line calculation: an immutable snapshot with a hash of exactly what was shown (C3)."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating.engine.pricing import BASIS
from credit_rating.models import LineCalculation
from credit_rating.models.calculations import content_hash
from credit_rating.selectors.calculations import Terms, as_content, reckon
from credit_rating.selectors.ratings import in_force
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, require
from customers.models import Customer

PREPARE = "credit.prepare"


class CalculationFault(DomainError):
    """A calculation that cannot be saved."""


def save_calculation(
    actor: Actor, *, customer: Customer, terms: Terms, day: dt.date, now: dt.datetime
) -> LineCalculation:
    """Save the calculation of what is on record now. What-if is never saved.

    The same calculation again (a double click: same content as the customer's newest) is the one that stands. A
    customer with a rating in force is reckoned with its grade. Raises CalculationFault naming what is missing.
    """
    require(actor, PREPARE)
    with transaction.atomic():
        # One at a time for a customer: numbers follow one another, and the same is not saved twice.
        seen = Customer.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=customer.pk)
        rated = in_force(actor, seen, day)
        if rated is not None and rated.grade != terms.grade:
            message = _("The rating in force says %s.") % rated.grade
            raise CalculationFault(message, code="grade", fields={"grade": message})
        found = reckon(actor, seen, terms, day=day)
        if found.limit is None:
            message = (
                _("This grade gets no line.") if found.refused else _("Information is missing; see the list.")
            )
            raise CalculationFault(message, code="incomplete")
        if terms.requested <= 0:
            message = _("It must be above 0.")
            raise CalculationFault(message, code="requested", fields={"requested": message})
        content = as_content(found)
        digest = content_hash(content)
        last = LineCalculation.objects.filter(customer=seen).order_by("-id").first()
        if last is not None and last.content_hash == digest:
            return last
        count = LineCalculation.objects.filter(customer=seen).count() + 1
        return LineCalculation.objects.create(
            customer=seen, kind=found.kind, number=f"CS-{seen.pk}-{count}", as_of=day, grade=terms.grade,
            term_months=terms.term_months, requested=terms.requested, limit=found.limit,
            rate_bp=int(found.price.rate * BASIS) if found.price else None, content=content, content_hash=digest,
            created_by_id=actor.staff_id, created_at=now,
        )  # fmt: skip
