"""Reading changes without missing one: `changed_since`, and from which moment to ask the next time.

Rows carry the moment of the statement that wrote them, and appear when its transaction commits, perhaps minutes
later. Whoever asks for what changed since the newest row seen would miss those. So lists say how far back
transactions in flight reach: everything written before that moment has been visible to the reader.
"""

from __future__ import annotations

import datetime as dt

from django.db import connection
from rest_framework import serializers

from crm_site.lib.api.fields import AskedMoment, StrictSerializer

HEADER = "Changes-Until"
# The database's clock against those of our own processes (a run's end is taken there).
CLOCKS = dt.timedelta(seconds=5)


class Changes(StrictSerializer):
    """Query parameters of a list whose changes can be read."""

    changed_since = AskedMoment(
        required=False,
        help_text=f"Rows changed at or after this moment. Send the header {HEADER} of the first page read last time: "
        "then no change is missed, and some may come twice. A + that was not escaped (%2B) is understood.",
    )


def changes_until() -> dt.datetime:
    """Before the oldest transaction in flight began: whatever is not visible yet is marked as changed after it.

    Call it before the rows are read. Sessions of our own role alone: nobody else writes these tables.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select least(now(), min(xact_start)) from pg_stat_activity "
            "where datname = current_database() and usename = current_user"
        )
        (oldest,) = cursor.fetchone()
    return oldest - CLOCKS


def tracks_changes(view: object) -> bool:
    """Whether a list view answers `changed_since`."""
    asked: type[serializers.Serializer] | None = getattr(view, "query", {}).get("GET")
    return asked is not None and issubclass(asked, Changes)
