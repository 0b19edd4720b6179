"""What credit says of ties between customers: nobody lowers a group while a case counts it, and what becomes of the cases
when a tie turns out to have been recorded by mistake (C5, C6).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from credit_rating.models import CreditCase, TieCorrection
from credit_rating.models.cases import ENDED
from credit_rating.selectors.cases import objections
from credit_rating.selectors.ties import cases_counting
from credit_rating.services.cases.flow import void_if_changed
from credit_rating.services.cases.rules import READ, address
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, may, require_person
from customers.models import RecordedTie
from customers.services.ties import CORRECT
from customers.ties import TieHold, TieKeeper, add_tie_keeper


def cases_holding(actor: Actor, ends: Collection[int], day: dt.date) -> list[TieHold]:
    """The cases under way that may count a tie between two customers, each as the reader may see it.

    The database holds a tie of their own parties itself (trigger relation_case, migration 0110).
    """
    found = cases_counting(ends, day).select_related("customer")
    keys = set(found.values_list("pk", flat=True))
    if not keys:
        return []
    seen = (
        CreditCase.objects.visible_to(actor).filter(pk__in=keys)
        if may(actor, READ)
        else CreditCase.objects.none()
    )
    told = [
        TieHold(
            case.number, f"{case.customer.name} · {case.get_status_display()}", address(case), case.expires_on
        )
        for case in seen.select_related("customer").order_by("id")
    ]
    return told + [TieHold()] * (len(keys) - len(told))


def correct_cases(actor: Actor, record: RecordedTie, why: str, now: dt.datetime, day: dt.date) -> None:
    """Put on record at every case that may count a tie that it was a mistake: part of its dossier, so that what was said
    on it is void and it begins again. Raises DomainError for who has a hand in one of them."""
    staff_id = require_person(actor, CORRECT)
    ends = (record.customer_id, record.other_id)
    found = CreditCase.objects.filter(pk__in=cases_counting(ends, day).values("pk"))
    for case in found.select_for_update(of=("self",)).order_by("id"):
        if case.status in ENDED:  # decided while this waited for its row: it stands as it was decided
            continue
        said = case.opinions.filter(Q(staff=staff_id) | Q(on_behalf_of=staff_id))
        if objections(case, staff_id, day) or said.exists():
            raise DomainError(
                _(
                    "You have a hand in case %s, or are concerned: somebody else of risk declares the tie mistaken."
                )
                % case.number,
                code="four_eyes_tie",
            )
        TieCorrection.objects.create(case=case, record=record, why=why, by_id=staff_id, at=now)


def void_corrected(record: RecordedTie, now: dt.datetime, day: dt.date) -> None:
    """Once the tie is gone: the cases that counted it begin again; one whose dossier cannot be made just now does at its
    next act."""
    for case in CreditCase.objects.filter(corrections__record=record).order_by("id"):
        if case.is_waiting:
            try:
                with transaction.atomic():
                    void_if_changed(case, now, day)
            except DomainError:
                continue


def register() -> None:
    """Hang the keeper on the room below (AppConfig.ready)."""
    add_tie_keeper("cases", TieKeeper(cases_holding, correct_cases, void_corrected))
