"""What a case may rest on: saved calculations, ratings. A room that makes evidence registers how it is read.

A case holds plain numbers; the dossier names each piece by its hash, so that what was decided on can be proved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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


Keys = Mapping[int, int | None]


@dataclass(frozen=True, slots=True)
class Provider:
    """`find`: customer -> id, None for the newest, to customer -> evidence; without those whose it is not or that no
    longer are what was saved."""

    name: str
    find: Callable[[Keys], dict[int, Evidence]]


EVIDENCE: Registry[Provider] = Registry("evidence")


def find_evidence(name: str, customer_id: int, key: int | None) -> Evidence | None:
    """A piece of evidence by its kind; None for a kind that nobody has registered."""
    return find_evidence_of(name, {customer_id: key}).get(customer_id)


def find_evidence_of(name: str, keys: Keys) -> dict[int, Evidence]:
    """customer -> a piece of evidence by its kind, read together. `keys`: customer -> id, None for the newest."""
    provider = EVIDENCE.get(name)
    return provider.find(keys) if provider and keys else {}


def _whole(named: Any, newest: Any, keys: Keys) -> Iterator[Any]:
    """The rows of `named` by their id, and of the other customers the newest of `newest`, that are what was saved."""
    by_id = [(customer, key) for customer, key in keys.items() if key is not None]
    if by_id:
        rows = {one.pk: one for one in named.filter(pk__in=[key for _customer, key in by_id])}
        found = [rows[key] for customer, key in by_id if key in rows and rows[key].customer_id == customer]
        yield from (one for one in found if one.is_whole)
    if others := [customer for customer, key in keys.items() if key is None]:
        last = newest.filter(customer_id__in=others).order_by("customer_id", "-id").distinct("customer_id")
        yield from (one for one in last if one.is_whole)


def _calculations(keys: Keys) -> dict[int, Evidence]:
    found = {}
    for one in _whole(LineCalculation.objects.all(), LineCalculation.objects.all(), keys):
        makers = () if one.created_by_id is None else (one.created_by_id,)
        found[one.customer_id] = Evidence(
            one.pk, one.number, one.content_hash, one.as_of, one.grade, makers, one.limit, one.rate_bp
        )
    return found


def _ratings(keys: Keys) -> dict[int, Evidence]:
    """Ratings that were approved, be they over by now; without a key the one in force."""
    decided = Rating.objects.filter(status__in=DECIDED)
    found = {}
    for one in _whole(decided, Rating.objects.filter(status=RatingStatus.APPROVED), keys):
        makers = tuple(maker for maker in (one.generated_by_id, one.submitted_by_id) if maker is not None)
        found[one.customer_id] = Evidence(one.pk, one.number, one.content_hash, one.as_of, one.grade, makers)
    return found


def register() -> None:
    """Make calculations and ratings known (AppConfig.ready)."""
    EVIDENCE.add("calculation", Provider("calculation", _calculations))
    EVIDENCE.add("rating", Provider("rating", _ratings))
