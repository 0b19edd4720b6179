"""Structured logs: one JSON object a line, without personal data (ids, routes and counts only)."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import traceback
from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import Error

# A phone, an identity card, a card or account by itself: never a date, a count or a piece of a run's key.
LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d{6,}[0-9Xx]?(?![0-9A-Za-z])")


class JsonFormatter(logging.Formatter):
    """`extra={"fields": {...}}` becomes members of the line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
            **getattr(record, "fields", {}),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["error"] = _trace(error)
        return json.dumps(line, ensure_ascii=False, default=str)


def _event(record: logging.LogRecord) -> str:
    """The message with errors told as `_said` tells them. Celery formats error and trace itself: those are left to
    the line's own."""
    given: Any = record.args
    if isinstance(given, Mapping):
        told: Any = {k: "" if k in ("exc", "traceback") else _safe(v) for k, v in given.items()}
    else:
        told = tuple(_safe(one) for one in given or ())
    text = str(record.msg)
    return _masked(text % told if told else text)


def _safe(value: Any) -> Any:
    return _said(value) if isinstance(value, BaseException) else value


def _masked(text: str) -> str:
    return LONG_NUMBER.sub("…", text)


def _said(error: BaseException) -> str:
    """An error in a line. PostgreSQL names the values that broke a rule ("Key (number)=(…) already exists", whole rows):
    of its errors the kind and the rule alone are told."""
    if isinstance(error, Error | psycopg.Error):
        of = error if isinstance(error, psycopg.Error) else error.__cause__
        rule = getattr(getattr(of, "diag", None), "constraint_name", None)
        told = [type(error).__name__, getattr(of, "sqlstate", None), rule]
        return " ".join(part for part in told if part)
    return _masked(f"{type(error).__name__}: {error}")


def _trace(error: BaseException) -> str:
    """Where an error came from, its causes first; lines of source, never values."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    earlier = [_trace(before), "then"] if before is not None and before is not error else []
    return "\n".join([*earlier, "".join(traceback.format_tb(error.__traceback__)) + _said(error)])
