"""The people at a company as a reader sees them: who is there, who has left lately, whose successor is not known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q

from crm_site.lib.dates import add_months
from crm_site.lib.permissions import Actor
from customers.models import ContactPerson, Customer, LeftReason, Post
from customers.models.people import RECENT_DAYS

MONTHS_SHOWN = 12  # of those who have left
_ORDER = {post: place for place, post in enumerate(Post.values)}


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody who is there. `party_id`: the person's own customer page, None where there is none or the reader does not
    see it; `is_new`: a key person who has taken up the post lately."""

    person: ContactPerson
    party_id: int | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """Somebody who has left. `successor`: who held the post next, "" for nobody known; `is_recent`: a key person who has
    left lately."""

    person: ContactPerson
    successor: str
    is_recent: bool

    @property
    def lacks_successor(self) -> bool:
        """Nobody is known in a post that a company has once."""
        return self.person.post != Post.OTHER and not self.successor


@dataclass(frozen=True, slots=True)
class People:
    """Those in a post on a day, key people first, and those who have left in the year before, newest first."""

    present: Sequence[Present]
    gone: Sequence[Gone]

    @property
    def key(self) -> list[Present]:
        return [row for row in self.present if row.person.is_key]

    @property
    def key_gone(self) -> list[Gone]:
        """Key people who left lately, or whom nobody is known to have followed."""
        return [row for row in self.gone if row.person.is_key and (row.is_recent or row.lacks_successor)]


def people_of(actor: Actor, customer: Customer, *, day: dt.date) -> People:
    """The people at a company. One statement."""
    sees_party = Exists(Customer.objects.visible_to(actor).filter(pk=OuterRef("party_id")))
    seen = ContactPerson.objects.visible_to(actor).filter(customer=customer).annotate(sees_party=sees_party)
    seen = seen.exclude(left_reason=LeftReason.MISTAKE)
    rows = list(seen.filter(Q(left_date__isnull=True) | Q(left_date__gt=add_months(day, -MONTHS_SHOWN))))
    present = sorted((row for row in rows if row.left_date is None), key=_rank)
    gone = sorted(
        (row for row in rows if row.left_date), key=lambda row: (row.left_date, row.pk), reverse=True
    )
    followers = {row.post: row.name for row in reversed(present)}
    left: list[Gone] = []
    for row in gone:  # newest first: who left later followed who left before
        left.append(
            Gone(
                row,
                followers.get(row.post, "") if row.post != Post.OTHER else "",
                row.is_key and _lately(row.left_date, day),
            )
        )
        followers[row.post] = row.name
    return People(
        [
            Present(
                row,
                row.party_id if row.sees_party else None,
                row.is_key and _lately(row.from_date, day),
            )
            for row in present
        ],
        left,
    )


def person_of(actor: Actor, customer: Customer, person_id: int) -> ContactPerson | None:
    """One of the people at a company that the actor sees, there or gone."""
    seen = ContactPerson.objects.visible_to(actor).select_related("customer", "party")
    found: ContactPerson | None = seen.filter(customer=customer, pk=person_id).first()
    return found


def _rank(row: ContactPerson) -> tuple[bool, int, str]:
    return not row.is_key, _ORDER[row.post], row.name


def _lately(date: dt.date | None, day: dt.date) -> bool:
    return date is not None and (day - date).days <= RECENT_DAYS
