"""Whether the guarantees that an approval rests on are in force, so that its line may be drawn on (C4, C7)."""

from __future__ import annotations

import datetime as dt

from django.db.models import F

from credit_rating.models import CaseDossier, Guarantee, GuaranteeKind, GuaranteeStatus
from crm_site.lib.permissions import Actor
from customers.models import Customer


def guarantees_out_of_force(case_id: int, day: dt.date) -> list[Guarantee]:
    """The guarantees named by the dossier that was approved which do not hold on a day: still proposed, released, not
    begun, or ended. The database asks the same of their state (migration 0095_line_guarantees)."""
    shown = CaseDossier.objects.filter(case=case_id, hash=F("case__dossier_hash"))
    named = shown.values_list("content__guarantees", flat=True).first() or []
    found = Guarantee.objects.filter(pk__in=[row["id"] for row in named]).exclude(kind=GuaranteeKind.CREDIT)
    return [g for g in found.select_related("collateral", "guarantor") if not _holds(g, day)]


def _holds(g: Guarantee, day: dt.date) -> bool:
    has_ended = g.to_date is not None and g.to_date < day
    return g.status == GuaranteeStatus.ACTIVE and g.from_date <= day and not has_ended


def named_to(actor: Actor, g: Guarantee) -> str:
    """A guarantee as the reader may know it: the thing, or the guarantor he sees (else its kind alone)."""
    name = g.collateral.name if g.collateral else ""
    if g.guarantor is not None and Customer.objects.visible_to(actor).filter(pk=g.guarantor_id).exists():
        name = g.guarantor.name
    return f"{g.get_kind_display()} {name}".strip()
