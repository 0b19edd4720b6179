"""Who a customer is tied to, and who recorded it; whom somebody may name as the other party of a tie (A6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F, Q, QuerySet

from crm_site.lib.permissions import Actor, Role
from customers.models import Customer, RecordedTie, Relation
from customers.models.ties import SYMMETRIC, tie_key
from customers.selectors.search import Found, search_customers
from customers.ties import say_share, say_tie, somebody


@dataclass(frozen=True, slots=True)
class RelatedParty:
    """A party tied to the customer. `name` is empty where the reader may not see the party.

    `is_from`: the tie runs from the customer to the party ("customer is shareholder of party"). `record`: what staff
    recorded of it, also once core banking delivers it.
    """

    relation: Relation
    customer_id: int
    name: str
    kind_label: str
    is_from: bool
    record: RecordedTie | None = None

    @property
    def is_core(self) -> bool:
        """Whether core banking delivers it: nobody here may end it."""
        return self.relation.record_id is None

    @property
    def is_its(self) -> bool:
        """Whether it reads "is its shareholder": family and common control are the same from either side."""
        return self.is_from and self.relation.kind not in SYMMETRIC

    @property
    def share(self) -> str:
        """The share in words, "" for none."""
        return say_share(self.relation.share) if self.relation.share is not None else ""


def relations_of(actor: Actor, customer: Customer) -> list[RelatedParty]:
    """Family, group, owners, guarantors and supply chain of a customer, the greatest shares of a kind first. Three
    statements."""
    ties = list(
        Relation.objects.filter(Q(customer=customer) | Q(other=customer)).order_by(
            "kind", F("share").desc(nulls_last=True), "id"
        )
    )
    said: dict[tuple[str, int, int], RecordedTie] = {}
    if ties:
        records = _recorded(customer).filter(ended_at__isnull=True).select_related("recorded_by")
        for one in records:
            said.setdefault(one.key, one)
    others = {tie.other_id if tie.customer_id == customer.pk else tie.customer_id for tie in ties}
    seen = dict(Customer.objects.visible_to(actor).filter(pk__in=others).values_list("pk", "name"))
    parties = []
    for tie in ties:
        is_from = tie.customer_id == customer.pk
        other = tie.other_id if is_from else tie.customer_id
        record = said.get(tie_key(tie.kind, tie.customer_id, tie.other_id))
        parties.append(
            RelatedParty(tie, other, seen.get(other, ""), str(tie.get_kind_display()), is_from, record)
        )
    return parties


@dataclass(frozen=True, slots=True)
class PastTie:
    """A recorded tie that holds no more, as a sentence; `is_seen`: whether the reader sees the other party.

    Without an end of its own: core banking had taken it over and has removed it.
    """

    record: RecordedTie
    text: str
    is_seen: bool


def past_ties(actor: Actor, customer: Customer, *, size: int = 50) -> list[PastTie]:
    """Recorded ties that hold no more, newest first. Three statements at most."""
    rows = _recorded(customer).select_related("recorded_by", "ended_by").order_by("-ended_at", "-id")
    ties = Relation.objects.filter(Q(customer=customer) | Q(other=customer))
    standing = (
        {tie_key(*tie) for tie in ties.values_list("kind", "customer_id", "other_id")} if rows else set()
    )
    past = [row for row in rows if row.ended_at or row.key not in standing]
    return [PastTie(*row) for row in told_ties(actor, customer, past[:size])]


def told_ties(
    actor: Actor, customer: Customer, rows: Iterable[RecordedTie]
) -> list[tuple[RecordedTie, str, bool]]:
    """Recorded ties of a customer with the sentence of each and whether the reader sees the other party, who goes unnamed
    otherwise."""
    found = list(rows)
    others = {row.other_id if row.customer_id == customer.pk else row.customer_id for row in found}
    seen: dict[int, str] = {}
    if others:
        seen = dict(Customer.objects.visible_to(actor).filter(pk__in=others).values_list("pk", "name"))
    told = []
    for row in found:
        other = row.other_id if row.customer_id == customer.pk else row.customer_id
        told.append((row, sentence_of(row, customer, seen.get(other, "")), other in seen))
    return told


def recorded_ties(customer: Customer) -> QuerySet[RecordedTie]:
    """Everything staff ever recorded of the ties of a customer that the caller has seen, newest first."""
    return _recorded(customer).select_related("recorded_by", "ended_by").order_by("-id")


def tie_of(customer: Customer, record_id: int) -> RecordedTie | None:
    """A recorded tie of a customer that the caller has seen."""
    found: RecordedTie | None = (
        _recorded(customer).select_related("customer", "other", "recorded_by").filter(pk=record_id).first()
    )
    return found


def _recorded(customer: Customer) -> QuerySet[RecordedTie]:
    return RecordedTie.objects.filter(Q(customer=customer) | Q(other=customer))


@dataclass(frozen=True, slots=True)
class OtherParty:
    """Whom a tie may be recorded with. `name`: what the reader may call it, its number where he does not see it."""

    customer: Customer
    name: str


def other_party(actor: Actor, number: str) -> OtherParty | None:
    """The customer or prospect of a number, if the actor may name it in a tie: whoever he sees, and a relationship
    manager any other customer of his own branch, of whom he learns the kind and who looks after it. Two statements."""
    found = (
        Customer.objects.select_related("responsible", "home_branch").filter(number=number.strip()).first()
    )
    if found is None:
        return None
    if Customer.objects.visible_to(actor).filter(pk=found.pk).exists():
        return OtherParty(found, found.name)
    branch = found.home_branch
    places = actor.intervals({Role.RELATIONSHIP_MANAGER})
    if branch is not None and any(lft <= branch.lft <= rgt for lft, rgt in places):
        return OtherParty(found, found.number)
    return None


def possible_parties(actor: Actor, customer: Customer, text: str) -> tuple[Found, OtherParty | None]:
    """Who fits what was typed: as the search of the site finds them, and who has this very number out of sight."""
    found = search_customers(actor, text)
    beside = other_party(actor, text) if not found.hits and text.strip() else None
    return found, beside if beside and beside.customer.pk != customer.pk else None


def sentence_of(record: RecordedTie, customer: Customer, other: str) -> str:
    """A recorded tie of a customer as a sentence. `other`: the other party's name, "" out of the reader's sight."""
    name = other or somebody()
    one, two = (customer.name, name) if record.customer_id == customer.pk else (name, customer.name)
    return say_tie(record.kind, one, two, record.share)
