"""Rows by the thousand: COPY into a temporary table, then INSERT … SELECT (row security refuses COPY itself)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from credit_rating.engine.pricing import BASIS
from credit_rating.models import LineCalculation, Rating, RatingStatus
from credit_rating.selectors.calculations import Reckoning
from credit_rating.selectors.ratings import Assessed
from credit_rating.services.ratings import rank_of
from crm_site.lib.money import to_minor
from crm_site.lib.tenancy import require_bank

_RATING = {
    "customer_id": "bigint", "kind": "text", "number": "text", "scorecard_id": "bigint", "grade_policy_id": "bigint",
    "as_of": "date", "score": "numeric", "score_grade": "text", "model_grade": "text", "grade": "text",
    "grade_rank": "smallint", "pd": "numeric", "deposits": "bigint", "content": "jsonb", "content_hash": "text",
    "generated_by_id": "bigint", "generated_at": "timestamptz",
}  # fmt: skip
_CALCULATION = {
    "customer_id": "bigint", "kind": "text", "number": "text", "as_of": "date", "grade": "text",
    "term_months": "smallint", "requested": "bigint", "limit": "bigint", "rate_bp": "integer", "content": "jsonb",
    "content_hash": "text", "created_by_id": "bigint", "created_at": "timestamptz",
}  # fmt: skip
_MEMBER = {
    "id": "bigint", "stage": "text", "rating_id": "bigint", "calculation_id": "bigint", "proposed": "bigint",
    "missing": "smallint", "run_id": "bigint",
}  # fmt: skip
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def rating_row(
    found: Assessed, content: Mapping[str, Any], digest: str, count: int, by: int, now: dt.datetime
) -> list[Any]:
    """A draft of a rating as services.ratings.generate_rating makes it; `count`: ratings that the customer has."""
    return [
        found.customer.pk, str(found.kind), f"PJ-{found.customer.pk}-{count + 1}", found.scorecard.pk,
        found.grade_policy.version.pk, found.day, found.score, found.score_grade, found.grade, found.grade,
        rank_of(found.grade), found.pd, None if found.deposits is None else to_minor(found.deposits),
        _encode(content), digest, by, now,
    ]  # fmt: skip


def calculation_row(
    found: Reckoning, content: Mapping[str, Any], digest: str, count: int, by: int, now: dt.datetime
) -> list[Any]:
    """A calculation as services.calculations.save_calculation saves it; `count`: those that the customer has."""
    return [
        found.customer.pk, str(found.kind), f"CS-{found.customer.pk}-{count + 1}", found.day, found.terms.grade,
        found.terms.term_months, to_minor(found.terms.requested), to_minor(found.limit or Decimal(0)),
        int(found.price.rate * BASIS) if found.price else None, _encode(content), digest, by, now,
    ]  # fmt: skip


def insert_ratings(rows: Sequence[Sequence[Any]]) -> dict[int, int]:
    """customer -> the draft that was made."""
    extra = {
        "bank_id": require_bank(),
        "status": RatingStatus.DRAFT,
        "reason": "",
        "decision_note": "",
        "review_reason": "",
    }
    return _insert(Rating._meta.db_table, _RATING, rows, extra)


def insert_calculations(rows: Sequence[Sequence[Any]]) -> dict[int, int]:
    """customer -> the calculation that was saved."""
    return _insert(LineCalculation._meta.db_table, _CALCULATION, rows, {"bank_id": require_bank()})


def _insert(
    table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], extra: Mapping[str, Any]
) -> dict[int, int]:
    if not rows:
        return {}
    with connection.cursor() as cursor:
        names = _stage(cursor, columns, rows)
        given = ", ".join(f'"{name}"' for name in extra)
        marks = ", ".join(["%s"] * len(extra))
        cursor.execute(
            f"INSERT INTO {table} ({given}, {names}) SELECT {marks}, {names} FROM campaign_stage "
            "ORDER BY customer_id RETURNING customer_id, id",
            list(extra.values()),
        )
        return dict(cursor.fetchall())


def _stage(cursor: Any, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> str:
    """Fill the temporary table of this name; returns its columns as SQL."""
    declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    cursor.execute("DROP TABLE IF EXISTS pg_temp.campaign_stage")
    cursor.execute(f"CREATE TEMP TABLE campaign_stage ({declared}) ON COMMIT DROP")
    with cursor.cursor.copy("COPY campaign_stage FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    return ", ".join(f'"{name}"' for name in columns)


_UPDATE = """
UPDATE credit_rating_campaignmember m SET stage = s.stage, rating_id = s.rating_id, calculation_id = s.calculation_id,
    proposed = s.proposed, missing = s.missing, run_id = s.run_id
FROM campaign_stage s WHERE m.bank_id = %s AND m.id = s.id
    AND (m.stage, m.rating_id, m.calculation_id, m.proposed, m.missing)
        IS DISTINCT FROM (s.stage, s.rating_id, s.calculation_id, s.proposed, s.missing)
"""


def update_members(rows: Sequence[Sequence[Any]]) -> int:
    """Set what a run found of members (in the order of _MEMBER); returns how many changed."""
    if not rows:
        return 0
    with connection.cursor() as cursor:
        _stage(cursor, _MEMBER, rows)
        cursor.execute(_UPDATE, [require_bank()])
        return int(cursor.rowcount)


_EXCEPTIONS = """
UPDATE credit_rating_campaignmember m SET exceptions = s.exceptions, is_exception = s.exceptions <> '[]'::jsonb
FROM campaign_stage s WHERE m.bank_id = %s AND m.id = s.id AND m.exceptions IS DISTINCT FROM s.exceptions
"""


def update_exceptions(found: Mapping[int, Sequence[str]]) -> int:
    """Set why members are decided by themselves; returns how many changed."""
    if not found:
        return 0
    with connection.cursor() as cursor:
        _stage(
            cursor, {"id": "bigint", "exceptions": "jsonb"}, [(k, _encode(list(v))) for k, v in found.items()]
        )
        cursor.execute(_EXCEPTIONS, [require_bank()])
        return int(cursor.rowcount)
