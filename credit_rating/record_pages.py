"""Where what the record is about can be seen: for an examiner who comes from an entry of the audit trail."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from credit_rating import models
from crm_site.lib.permissions import Actor, may
from crm_site.lib.registry import RECORD_PAGES

# table -> (model, its page, which of its columns names the page's object)
_PAGES: dict[str, tuple[Any, str, str]] = {
    found._meta.db_table: (found, page, column)
    for found, page, column in (
        (models.CreditCase, "case", "pk"),
        (models.Opinion, "case", "case_id"),
        (models.CaseCondition, "case", "case_id"),
        (models.CaseCopy, "case", "case_id"),
        (models.CaseDossier, "case", "case_id"),
        (models.CaseFile, "case", "case_id"),
        (models.CaseMaker, "case", "case_id"),
        (models.CaseSeat, "case", "case_id"),
        (models.CreditLine, "line", "pk"),
        (models.LineEvent, "line", "line_id"),
        (models.LineCalculation, "calculation", "pk"),
        (models.Rating, "rating", "pk"),
        (models.Signal, "warning", "pk"),
        (models.SignalAct, "warning", "signal_id"),
        (models.Guarantee, "guarantees", "customer_id"),
        (models.InformationForm, "collection", "customer_id"),
        (models.Statement, "statements", "customer_id"),
        (models.Campaign, "campaign", "pk"),
        (models.CampaignZone, "campaign-zone", "pk"),
        (models.CampaignBatch, "campaign-batch", "pk"),
        (models.CampaignMember, "campaign-member", "pk"),
        (models.CreditPolicy, "policy", "pk"),
        (models.Scorecard, "scorecard", "pk"),
    )
}


def page_of(actor: Actor, table: str, key: int) -> str:
    """The address of a row's page; "" for a table without one, a row that is gone or that the actor does not see."""
    if table not in _PAGES or not may(actor, "credit.read"):
        return ""
    model, page, column = _PAGES[table]
    rows = model.objects.visible_to(actor) if hasattr(model.objects, "visible_to") else model.objects.all()
    found = rows.filter(pk=key).values_list(column, flat=True).first()
    return reverse(f"credit_rating:{page}", args=[found]) if found else ""


def register() -> None:
    RECORD_PAGES.add("credit", page_of)
