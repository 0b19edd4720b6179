"""Conditions precedent: evidenced by one person, accepted by another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating.models import (
    CaseCondition,
    CaseStatus,
)
from credit_rating.services.cases.files import Upload, keep
from credit_rating.services.cases.rules import MANAGE, PREPARE, CaseFault
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require_person
from crm_site.lib.tenancy import act_as


def evidence_condition(
    actor: Actor, *, condition_id: int, evidence: str, now: dt.datetime, uploads: Sequence[Upload] = ()
) -> CaseCondition:
    """Say by what a condition is met, with files; another evidence replaces one that nobody has accepted.

    Raises FileFault, DiskFull for a file that cannot be kept: then nothing of it is."""
    staff_id = require_person(actor, PREPARE)
    if not evidence.strip():
        raise CaseFault(_("Say by what it is met."), fields={"evidence": _("Say by what it is met.")})
    with transaction.atomic():
        condition = _condition(actor, condition_id)
        if condition.accepted_at is not None:
            raise Conflict(_("Somebody has accepted it already."), code="condition_met")
        condition.evidence, condition.evidenced_at = evidence.strip()[:400], now
        condition.evidenced_by_id = staff_id
        condition.save(update_fields=["evidence", "evidenced_by", "evidenced_at"])
        keep(actor, condition.case, uploads, now, condition)
    return condition


def accept_condition(actor: Actor, *, condition_id: int, now: dt.datetime) -> CaseCondition:
    """A second person has seen the evidence. When all are met services.lines.activate_line frees a new line, and
    services.lines.effect_change lets a change of one take effect."""
    staff_id = require_person(actor, MANAGE)
    with transaction.atomic():
        condition = _condition(actor, condition_id)
        if condition.accepted_at is not None:
            return condition
        if condition.evidenced_by_id is None:
            raise Conflict(_("There is no evidence yet."), code="no_evidence")
        filed = condition.files.filter(withdrawn_at__isnull=True).values_list("uploaded_by_id", flat=True)
        if staff_id in (condition.evidenced_by_id, condition.case.prepared_by_id, *filed):
            raise CaseFault(_("A second person accepts it."), code="four_eyes_maker")
        condition.accepted_by_id, condition.accepted_at = staff_id, now
        condition.save(update_fields=["accepted_by", "accepted_at"])
    return condition


def _condition(actor: Actor, condition_id: int) -> CaseCondition:
    found = CaseCondition.objects.visible_to(actor).select_for_update(of=("self",))
    condition: CaseCondition = found.select_related("case").get(pk=condition_id)
    act_as(actor, reason=condition.case.number)
    if condition.case.status != CaseStatus.APPROVED:
        raise Conflict(_("The case is not approved."), code="case_status")
    return condition
