"""The night's reminder of what is to be valued again: guarantees -> tasks of those who look after the debtors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credit_rating.selectors.guarantees import due_valuations
from crm_site.lib import formats
from crm_site.lib.registry import Counts, RunContext, Step, WorkReason, add_step, add_work_reason
from crm_site.work.services import TaskRow, put_tasks
from crm_site.work.urgency import pressing

REASON, SOURCE = "revaluation", "revaluation:"


def revaluations(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """A task for each guarantee whose valuation is due or overdue; one that was valued again closes its task."""
    if not context.is_newest:
        return Counts()
    due = due_valuations(day=context.business_date)
    rows = [
        TaskRow(
            reason=REASON,
            source_key=f"{SOURCE}{row.guarantee.pk}:{row.due_on.isoformat()}",
            due_date=row.due_on,
            customer_id=row.guarantee.customer_id,
            owner_id=row.guarantee.customer.responsible_id,
            unit_id=row.guarantee.customer.home_branch_id,
            params={
                "name": row.name,
                "due": row.due_on.isoformat(),
                "kind": row.guarantee.kind,
                "overdue": row.due_on < context.business_date,
            },
            stake=Decimal(row.guarantee.amount),
            urgency=pressing(row.due_on, context.business_date + dt.timedelta(days=1), 50),
        )
        for row in due
    ]
    counts = put_tasks(
        context.bank_id, rows, sources=[SOURCE], as_of=context.business_date, run_id=context.run_id
    )
    return Counts(len(rows), counts.changed + counts.cancelled)


def say(params: Mapping[str, Any]) -> str:
    """Why it is on the worklist."""
    words = {"name": params["name"], "due": formats.day(dt.date.fromisoformat(params["due"]))}
    if params["kind"] == "guarantor":
        return _("Capacity of %(name)s to be assessed again by %(due)s") % words
    if params["overdue"]:
        return _("%(name)s should have been valued again by %(due)s; it counts no more") % words
    return _("%(name)s is to be valued again by %(due)s") % words


def register() -> None:
    """Hang the step on the night (crm_site/pipeline.py has the whole order)."""
    add_step(Step("revaluations", gettext_lazy("Valuations due"), revaluations, after=("placement",)))
    add_work_reason(WorkReason(REASON, gettext_lazy("Valuation due"), "home-dollar", say, level="watch"))
