"""What has been collected of a customer, and how much is missing."""

from __future__ import annotations

from dataclasses import dataclass

from credit_rating.collection import STATEMENT_YEARS, Collected, Field, completeness, read_values
from credit_rating.models import CollectionStatus, InformationForm, credit_kind
from credit_rating.selectors.statements import statements_of
from crm_site.lib.permissions import Actor
from customers.models import Customer


def draft_of(actor: Actor, customer: Customer) -> InformationForm | None:
    """The form that is being filled in."""
    return (
        InformationForm.objects.visible_to(actor)
        .filter(customer=customer, status=CollectionStatus.DRAFT)
        .first()
    )


def submitted_of(actor: Actor, customer: Customer) -> InformationForm | None:
    """The newest form that has been submitted: what ratings and calculations use."""
    found = InformationForm.objects.visible_to(actor).select_related("submitted_by")
    return (
        found.filter(customer=customer, status=CollectionStatus.SUBMITTED)
        .order_by("-submitted_at", "-id")
        .first()
    )


def collected(actor: Actor, customer: Customer) -> dict[str, Collected]:
    """code -> value of the newest submitted form; nothing before the first."""
    form = submitted_of(actor, customer)
    return read_values(form.values) if form else {}


@dataclass(frozen=True, slots=True)
class Known:
    """How complete a customer's information is."""

    pct: int
    missing: list[Field]
    years_missing: int
    newest_year: int | None  # of the statements


def known_of(actor: Actor, customer: Customer, form: InformationForm | None) -> Known:
    """Completeness of a form together with the customer's statements."""
    filled = read_values(form.values) if form else {}
    years = [statement.year for statement in statements_of(actor, customer)[:STATEMENT_YEARS]]
    found = completeness(credit_kind(customer), filled, len(years))
    return Known(*found, newest_year=years[0] if years else None)
