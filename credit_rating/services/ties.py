"""What credit says against ending a tie between customers: nobody lowers a group while a case counts it (C5, C6)."""

from __future__ import annotations

import datetime as dt

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from credit_rating.models import CreditCase, Guarantee
from credit_rating.models.cases import OPEN
from credit_rating.models.guarantees import LIVE
from credit_rating.policies.authority import kin_steps_of
from credit_rating.selectors.cases import authority_policy
from credit_rating.selectors.groups import tied_around
from crm_site.lib.errors import Conflict
from customers.models import Relation
from customers.ties import add_tie_guard


def no_case_counts_it(relation: Relation, day: dt.date) -> None:
    """Raise Conflict while an approval case is under way of anybody whose group, connected customers or relatives, or
    whose guarantors', either party may belong to. It asks for more than must be: a tie too many kept is no harm.

    The database says the same of the two parties themselves (trigger relation_case, migration 0108).
    """
    steps = kin_steps_of(authority_policy(day)[1])
    near = tied_around({relation.customer_id, relation.other_id}, steps, day)
    promised = Guarantee.objects.filter(
        customer_id=OuterRef("customer_id"), status__in=LIVE, guarantor_id__in=near
    )
    case = (
        CreditCase.objects.filter(Q(customer_id__in=near) | Exists(promised), status__in=OPEN)
        .order_by("id")
        .first()
    )
    if case is not None:
        message = _(
            "Approval case %s is under way and may count this tie: it can be ended once the case has ended."
        )
        raise Conflict(message % case.number, code="case_under_way")


def register() -> None:
    """Hang the guard on the room below (AppConfig.ready)."""
    add_tie_guard("cases", no_case_counts_it)
