"""Reads of credit lines: the list with its filters, one line with its ledger, and what the API answers."""

from __future__ import annotations

import datetime as dt

from django.db.models import QuerySet

from credit_rating.models import CreditLine, CreditPolicy
from credit_rating.policies import SHAPES, Body, read
from credit_rating.selectors.policies import policy_on
from crm_site.lib.permissions import Actor

PAGE = 50
SUBJECT = "line_control"


def control_policy(day: dt.date) -> Body:
    """How lines are controlled on a day; the defaults in a bank that was founded before the policy was known."""
    try:
        return policy_on(SUBJECT, day).body
    except CreditPolicy.DoesNotExist:
        shape = SHAPES[SUBJECT]
        return read(shape, shape.default(""))


def lines_for_api(
    actor: Actor,
    *,
    day: dt.date,
    changed_since: dt.datetime | None = None,
    customer: str = "",
    status: str = "",
) -> QuerySet[CreditLine]:
    """Lines as the API lists them: of every status, or those that stand so on `day`."""
    found = CreditLine.objects.visible_to(actor).select_related("customer", "product")
    if changed_since is not None:
        found = found.filter(changed_at__gte=changed_since)
    if customer:
        found = found.filter(customer__number=customer)
    return found.in_status(status, day) if status else found


def line_for_api(actor: Actor, line_id: int) -> CreditLine:
    """One line with its sub-limits. Raises CreditLine.DoesNotExist."""
    found = CreditLine.objects.visible_to(actor).select_related("customer", "product")
    return found.prefetch_related("sub_limits__product").get(pk=line_id)
