"""What a case may rest on: saved calculations, ratings. A room that makes evidence registers how it is read.

A case holds plain numbers; the dossier names each piece by its hash, so that what was decided on can be proved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from credit_rating.models import DECIDED, LineCalculation, Rating, RatingStatus
from crm_site.lib.registry import Registry


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of evidence. `hash`: of its whole content; `makers`: staff who made it; `limit` in the bank's currency."""

    id: int
    number: str
    hash: str
    as_of: dt.date
    grade: str
    makers: tuple[int, ...]
    limit: Decimal | None = None
    rate_bp: int | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """`find(customer, id)`: None when it is not this customer's or no longer is what was saved; id None: the newest."""

    name: str
    find: Callable[[int, int | None], Evidence | None]


EVIDENCE: Registry[Provider] = Registry("evidence")


def find_evidence(name: str, customer_id: int, key: int | None) -> Evidence | None:
    """A piece of evidence by its kind; None for a kind that nobody has registered."""
    provider = EVIDENCE.get(name)
    return provider.find(customer_id, key) if provider else None


def _calculation(customer_id: int, key: int | None) -> Evidence | None:
    found = LineCalculation.objects.filter(customer_id=customer_id)
    if key is not None:
        found = found.filter(pk=key)
    one = found.order_by("-id").first()
    if one is None or not one.is_whole:
        return None
    makers = () if one.created_by_id is None else (one.created_by_id,)
    return Evidence(
        one.pk, one.number, one.content_hash, one.as_of, one.grade, makers, one.limit, one.rate_bp
    )


def _rating(customer_id: int, key: int | None) -> Evidence | None:
    """A rating that was approved, be it over by now; without a key the one in force."""
    found = Rating.objects.filter(customer_id=customer_id)
    if key is None:
        found = found.filter(status=RatingStatus.APPROVED)
    else:
        found = found.filter(pk=key, status__in=DECIDED)
    one = found.order_by("-id").first()
    if one is None or not one.is_whole:
        return None
    makers = tuple(maker for maker in (one.generated_by_id, one.submitted_by_id) if maker is not None)
    return Evidence(one.pk, one.number, one.content_hash, one.as_of, one.grade, makers)


def register() -> None:
    """Make calculations and ratings known (AppConfig.ready)."""
    EVIDENCE.add("calculation", Provider("calculation", _calculation))
    EVIDENCE.add("rating", Provider("rating", _rating))
