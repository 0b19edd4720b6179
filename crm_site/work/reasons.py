"""The reasons and notifications that belong to no other room. Others register theirs beside their rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_site.lib import formats
from crm_site.lib.registry import PIPELINES, WORK_REASONS, NoticeKind, WorkReason


def _label(code: str) -> str:
    return str(getattr(WORK_REASONS.get(code), "label", code))


def _handed_over(params: Mapping[str, Any]) -> str:
    values = {
        "by": params.get("by", ""),
        "reason": _label(params.get("reason", "")),
        "note": params.get("note", ""),
    }
    if values["note"]:
        return _("%(by)s handed you a task: %(reason)s. “%(note)s”") % values
    return _("%(by)s handed you a task: %(reason)s") % values


def _given(params: Mapping[str, Any]) -> str:
    return _("%(by)s gave you a task: %(reason)s") % {
        "by": params.get("by", ""),
        "reason": _label(params.get("reason", "")),
    }


def _run_failed(params: Mapping[str, Any]) -> str:
    name = params.get("pipeline", "")
    return _("%(pipeline)s for %(date)s has failed") % {
        "pipeline": getattr(PIPELINES.get(name), "label", name),
        "date": formats.day(dt.date.fromisoformat(params["date"])),
    }


REASONS = (
    WorkReason(
        "promise",
        gettext_lazy("Promise"),
        "message-check",
        lambda params: _("Promised: %s") % params.get("promise", ""),
        is_dated=True,
    ),
    WorkReason(
        "manual",
        gettext_lazy("To do"),
        "checklist",
        lambda params: str(params.get("text", "")),
        is_dated=True,
    ),
)
NOTICES = (
    NoticeKind("task.handed_over", "arrow-forward-up", _handed_over),
    NoticeKind("task.given", "checklist", _given),
    NoticeKind("run.failed", "alert-triangle", _run_failed, level="risk"),
)
