"""Where rows of the record about credit are seen."""

from __future__ import annotations

from credit_rating import models
from crm_site.lib.record_pages import RecordPage, add_record_pages

_PAGES = (
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
_DEVELOPING = ((models.DevelopmentSample, "sample", "pk"), (models.Development, "development", "pk"))


def register() -> None:
    add_record_pages(
        "credit",
        [
            RecordPage(model, action, f"credit_rating:{page}", column)
            for action, pages in (("credit.read", _PAGES), ("scorecard.develop", _DEVELOPING))
            for model, page, column in pages
        ],
    )
