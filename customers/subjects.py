"""Customers as rows of other rooms' lists name them: tasks know only an id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crm_site.lib.permissions import Actor
from crm_site.lib.registry import Subject
from customers.models import Customer, Standing
from customers.models.parties import reach_of
from customers.models.standing import VALUE_TIERS


def subjects(actor: Actor, ids: Iterable[int]) -> dict[int, Subject]:
    """Name, page and tier of those of the customers that the actor may see; one query."""
    rows = (
        Standing.objects.visible_to(actor)
        .filter(customer__in=list(ids))
        .values_list("customer_id", "customer__name", "value_tier")
    )
    return {pk: Subject(pk, name, f"/customers/{pk}/", VALUE_TIERS.get(tier, "")) for pk, name, tier in rows}


def sight(actors: Sequence[Actor], customer_id: int) -> set[int]:
    """The members of staff among the actors who may see the customer; one query, the same for however many."""
    told = Customer.objects.filter(pk=customer_id).values_list("kind", "home_branch__lft", "responsible_id")
    one = told.first()
    if one is None:
        return set()
    return {actor.staff_id for actor in actors if actor.staff_id and reach_of(actor).holds(*one)}


def ids_of(numbers: Iterable[str]) -> dict[str, int]:
    """{number: id} of those of the numbers that a customer has."""
    return dict(Customer.objects.filter(number__in=list(numbers)).values_list("number", "pk"))


def numbers_of(ids: Iterable[int]) -> dict[int, str]:
    """{id: number} of these customers."""
    return dict(Customer.objects.filter(pk__in=list(ids)).values_list("pk", "number"))
