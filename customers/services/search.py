"""The card that a customer exists, for who holds its exact identifier but may not see it: always on the record."""

from __future__ import annotations

from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.lib.permissions import Actor, require
from customers.selectors.search import Elsewhere, Found, search_customers


def locate_customer(actor: Actor, text: str) -> Found:
    """Search; when only an exact identifier out of sight fits, put on the record that its owner was told.

    No entry in the record, no card.
    """
    require(actor, "customer.read")
    found = search_customers(actor, text)
    if isinstance(found.elsewhere, Elsewhere):
        record(
            actor, Action.LOCATE, "customers_customer",
            key=found.elsewhere.customer_id, customer_id=found.elsewhere.customer_id, reason="search",
        )  # fmt: skip
    return found
