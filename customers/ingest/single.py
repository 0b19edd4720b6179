"""One customer or prospect written at once: the rules and landing of the feeds, without a delivery around them.

A core system that opens a customer at the counter calls this through the API; its nightly file says the same again
and changes nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext as _
from psycopg.errors import LockNotAvailable

from crm_site.accounts.models import Bank
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.ingest.feeds import FEEDS, Feed
from customers.ingest.landing import Landing
from customers.ingest.parties import IDENTIFIERS
from customers.ingest.reading import Row, Shape
from customers.ingest.services import landing_for
from customers.ingest.staging import RowError, blind_scheme
from customers.models import Batch, Customer
from customers.services.profile import refuse_known_identifier, update_profile

PATIENCE = "5s"  # for a delivery of customers that is landing


class RowRefused(DomainError):
    """The values break a feed's rules; `errors` says which and why."""

    def __init__(self, errors: list[RowError]) -> None:
        super().__init__(_("The values are not valid."), code="invalid")
        self.errors = errors


class LandingInTheWay(DomainError):
    """A delivery of customers is landing and holds their table; try again when it is through."""

    status = 503

    def __init__(self) -> None:
        super().__init__(_("A delivery of customers is landing. Try again in a minute."), code="busy")


def feed_of(*, is_prospect: bool) -> Feed:
    return FEEDS["prospects" if is_prospect else "customers"]


def create_party(
    actor: Actor, *, is_prospect: bool, cells: Mapping[str, str], profile: Mapping[str, str], now: dt.datetime
) -> Customer:
    """A new customer, or a new prospect (without a number it is given one). `cells`: by the feed's columns, as text.

    Raises Conflict for a number that stands already and for a prospect's identifier that somebody is known by,
    RowRefused, LandingInTheWay.
    """
    require(actor, "customer.write")
    feed, given = feed_of(is_prospect=is_prospect), dict(cells)
    if is_prospect and not given.get("number"):
        given["number"] = f"P{uuid.uuid4().int % 10**14:014d}"
    with transaction.atomic(), connection.cursor() as cursor:
        landing = _begin(cursor, feed, now)
        _stage(landing, given)
        if Customer.objects.filter(number=given.get("number", "")).exists():
            message = _("This number stands already.")
            raise Conflict(message, code="number_taken", fields={"number": message})
        if is_prospect:
            for name in IDENTIFIERS:
                if given.get(name):
                    value = landing.stager.plain[name](given[name])
                    refuse_known_identifier(actor, landing.vault.blind_index(blind_scheme(name), value), name)
        _land(landing)
        customer = Customer.objects.visible_to(actor).get(number=given["number"])
        update_profile(actor, customer=customer, base={}, typed=profile, now=now)
    return customer


def change_party(
    actor: Actor,
    *,
    customer: Customer,
    cells: Mapping[str, str],
    profile: Mapping[str, str],
    is_prospect: bool | None,
    now: dt.datetime,
) -> None:
    """Change what is given of a customer; an empty cell clears. A prospect becomes a customer by `is_prospect` false.

    `cells` older (their source_as_of) than what stands change nothing, as in a feed. Raises as create_party.
    """
    require(actor, "customer.write")
    with transaction.atomic(), connection.cursor() as cursor:
        if cells or is_prospect is not None:
            becomes = customer.is_prospect if is_prospect is None else is_prospect
            landing = _begin(cursor, feed_of(is_prospect=becomes), now)
            standing = Customer.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=customer.pk)
            known = {"number": standing.number, "name": standing.name, "kind": standing.kind}
            _stage(landing, known | dict(cells))
            _land(landing)
        base = {name: getattr(customer, name) for name in profile}
        update_profile(actor, customer=customer, base=base, typed=profile, now=now)


def _begin(cursor: Any, feed: Feed, now: dt.datetime) -> Landing:
    """A landing that holds the feed's table, as a delivery would."""
    cursor.execute(f"set local lock_timeout = '{PATIENCE}'")
    bank = Bank.objects.get(pk=require_bank())
    landing = landing_for(cursor, bank, feed, Batch(feed=feed.name, source="api", received_at=now))
    try:
        landing.begin()
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise LandingInTheWay from error
        raise
    return landing


def _stage(landing: Landing, cells: Mapping[str, str]) -> None:
    unknown = tuple(name for name in cells if name not in landing.feed.names)
    row = Row(1, Shape(tuple(cells), unknown), list(cells.values()))
    landing.part = landing.stager.stage_part(landing.cursor, iter([row]))
    if landing.part.errors:
        raise RowRefused(landing.part.errors)


def _land(landing: Landing) -> None:
    landing.land_part(landing.part)
    if landing.part.errors:
        raise RowRefused(landing.part.errors)
