"""Where rows of the record about credit are seen, and which of them are of one case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.timezone import localdate
from django.utils.translation import gettext_lazy as _

from credit_rating import models
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.ties import ties_counted
from crm_site.lib.permissions import Actor
from crm_site.lib.record_pages import RecordPage, add_record_pages
from crm_site.lib.registry import RECORD_MATTERS, Watch, add_watch
from customers.models import RecordedTie

_PAGES = (
    (models.CreditCase, "case", "pk"),
    (models.Opinion, "case", "case_id"),
    (models.CaseCondition, "case", "case_id"),
    (models.CaseCopy, "case", "case_id"),
    (models.CaseDossier, "case", "case_id"),
    (models.CaseFile, "case", "case_id"),
    (models.CaseMaker, "case", "case_id"),
    (models.CaseSeat, "case", "case_id"),
    (models.TieCorrection, "case", "case_id"),
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


def rows_of_case(actor: Actor, number: str) -> Mapping[str, Iterable[int]]:
    """table -> keys of what the record keeps of a case that the actor sees: what was done to it and said of it, the
    calculations and ratings that it rested on, the recorded ties that it counts, its campaign's batch, and its line from its
    approval on."""
    case = selectors.numbered_case(actor, number)
    if case is None:
        return {}
    of_case = [model for model, page, column in _PAGES if page == "case" and column == "case_id"]
    found: dict[Any, list[int]] = {model: list(_keys(model.objects.filter(case=case))) for model in of_case}
    found[models.CreditCase] = [case.pk]
    shown = models.CaseDossier.objects.filter(case=case)
    for model, part, chosen in (
        (models.LineCalculation, "calculation", case.calculation_id),
        (models.Rating, "rating", case.rating_id),
    ):
        named = shown.values_list(f"content__{part}__number", flat=True)
        found[model] = list(
            _keys(model.objects.filter(Q(pk=chosen) | Q(customer=case.customer_id, number__in=set(named))))
        )
    found[RecordedTie] = list(_keys(ties_counted(case, localdate())))
    members = models.CampaignMember.objects.filter(customer=case.customer_id, case=case, batch__isnull=False)
    found[models.CampaignBatch] = list(members.values_list("batch", flat=True))
    if case.line_id and case.status == models.CaseStatus.APPROVED:
        found[models.CreditLine] = [case.line_id]
        found[models.LineEvent] = list(
            _keys(models.LineEvent.objects.filter(line=case.line_id, at__gte=case.closed_at))
        )
    return {model._meta.db_table: keys for model, keys in found.items()}


def _keys(rows: QuerySet[Any]) -> QuerySet[Any, int]:
    return rows.order_by().values_list("pk", flat=True)


def _watches() -> Iterable[Watch]:
    """What an examiner watches of credit. The first that fits counts."""
    opinions, ratings = (models.Opinion._meta.db_table,), (models.Rating._meta.db_table,)
    for name, label, table, condition in (
        ("caps", _("Agreed although a regulator's cap was broken"), opinions, Q(changes__broken_caps__0__isnull=False)),
        ("on-behalf", _("Decided on behalf of another"), opinions, Q(changes__on_behalf_of_id__isnull=False)),
        ("grade", _("Grades changed by hand"), ratings, Q(action="update", changes__has_key="grade")),
        ("class", _("Classes lowered by hand"), (models.Downgrade._meta.db_table,), Q(action="insert")),
        ("delegation", _("Approval rights delegated"), (models.Delegation._meta.db_table,), Q()),
        ("related", _("Register of the bank's related parties changed"), (models.RelatedParty._meta.db_table,), Q()),
        ("relatives", _("Relations of staff members changed"), (models.StaffRelation._meta.db_table,), Q()),
        ("tie", _("Ties declared recorded by mistake"), (models.TieCorrection._meta.db_table,), Q()),
        ("capital", _("Bank's capital reported"), (models.BankCapital._meta.db_table,), Q()),
    ):  # fmt: skip
        yield Watch(name, label, table, condition)


def register() -> None:
    for watch in _watches():
        add_watch(watch)
    RECORD_MATTERS.add("case", rows_of_case)
    add_record_pages(
        "credit",
        [
            RecordPage(model, action, f"credit_rating:{page}", column)
            for action, pages in (("credit.read", _PAGES), ("scorecard.develop", _DEVELOPING))
            for model, page, column in pages
        ],
    )
