"""What the pages of tasks and notifications show: key-set pages, filters, addresses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q

from crm_site.lib.money import money
from crm_site.lib.permissions import Actor, may
from crm_site.lib.registry import WORK_REASONS
from crm_site.work import selectors
from crm_site.work.models import Task

PAGE = 50


def task_page(actor: Actor, as_of: dt.date, query: Mapping[str, str]) -> dict[str, Any]:
    """The actor's worklist, a customer once: filtered by `reason`, shown now or `later`, `after` a task by key.

    A page costs the same wherever it lies: it begins after the last row's urgency, stake, date and id.
    """
    reason, later = query.get("reason", ""), query.get("when", "") == "later"
    shown = selectors.worklist(actor, as_of, later=later, reason=reason)
    key = _number(query.get("after", ""))
    after = Task.objects.visible_to(actor).filter(pk=key).first() if key else None
    rows = list((shown.filter(_after(after)) if after else shown)[: PAGE + 1])
    kept = {k: v for k, v in (("reason", reason), ("when", "later" if later else "")) if v}
    sizes = selectors.counts(actor, as_of, since=dt.datetime.combine(as_of, dt.time(), dt.UTC), later=later)
    return {
        "items": selectors.worklist_rows(actor, rows[:PAGE], as_of, later=later),
        "next_url": f"?{urlencode({**kept, 'after': rows[PAGE - 1].pk})}" if len(rows) > PAGE else "",
        "first_url": f"?{urlencode(kept)}" if after else "",
        "reasons": _reasons(sizes.by_reason, reason, kept),
        "counts": sizes,
        "reason": reason,
        "later": later,
        "as_of": as_of,
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _after(row: Task) -> Q:
    """Rows that stand behind this one: -urgency, -stake, due_date, id."""
    stake = money(row.stake)
    return Q(urgency__lt=row.urgency) | Q(urgency=row.urgency) & (
        Q(stake__lt=stake)
        | Q(stake=stake) & (Q(due_date__gt=row.due_date) | Q(due_date=row.due_date, id__gt=row.pk))
    )


def _reasons(by_reason: Mapping[str, int], chosen: str, kept: Mapping[str, str]) -> list[dict[str, Any]]:
    """The filter's chips: only reasons that there are, the most frequent first."""
    return [
        {
            "label": getattr(WORK_REASONS.get(code), "label", code),
            "count": count,
            "chosen": code == chosen,
            "url": "?"
            + urlencode(
                {**kept, "reason": code}
                if code != chosen
                else {k: v for k, v in kept.items() if k != "reason"}
            ),
        }
        for code, count in sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))
    ]


def inbox_page(actor: Actor, query: Mapping[str, str]) -> dict[str, Any]:
    """The inbox, newest first, `before` a notification by key."""
    before = _number(query.get("before", ""))
    mine = selectors.notifications(actor)
    rows = list((mine.filter(pk__lt=before) if before else mine).order_by(F("id").desc())[: PAGE + 1])
    return {
        "rows": selectors.notice_rows(rows[:PAGE]),
        "unread": selectors.unread(actor),
        "may_task": may(actor, "task.write"),
        "next_url": f"?{urlencode({'before': rows[PAGE - 1].pk})}" if len(rows) > PAGE else "",
        "first_url": "?" if before else "",
    }
