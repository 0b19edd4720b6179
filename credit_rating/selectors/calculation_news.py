"""What has become known of a customer since a line was calculated (C3, C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from credit_rating.engine.steps import ZERO
from credit_rating.models import LineCalculation
from credit_rating.selectors.calculations import Input, gather, told_by
from credit_rating.selectors.external import Elsewhere
from credit_rating.selectors.guarantees import GuaranteeRow
from crm_site.lib.permissions import Actor
from customers.models import Customer

GUARANTEES = "usable_guarantee"


@dataclass(frozen=True, slots=True)
class News:
    """A figure of a calculation that is another by now. `code`: of words.TERMS; `was`: what was calculated with; `now`:
    what is on record, None for a debt at another bank that no exchange rate converts; `source`, `detail`, `as_of`: of
    `now`, as an input's; guarantees have no day of their own."""

    code: str
    was: Decimal
    now: Decimal | None
    source: str
    detail: str = ""
    as_of: dt.date | None = None


def news_since(
    found: LineCalculation, inputs: Iterable[Input], report: Elsewhere | None, usable: Decimal
) -> list[News]:
    """The figures of a saved calculation that are others by `inputs` (those on record now, or the part of them that was
    kept), by the newest report of other banks, and by what guarantees count for. Of an earlier day than was calculated
    with is no news, nor is a later day with the same figure."""
    before = {
        i["code"]: (Decimal(i["value"]), dt.date.fromisoformat(i["as_of"])) for i in found.content["inputs"]
    }
    news = []
    for one in inputs:
        was, of = before.get(one.code, (ZERO, one.as_of))
        if one.value != was and one.as_of >= of:
            news.append(News(one.code, was, one.value, one.source, one.detail, one.as_of))
    was, of = before.get("other_banks", (ZERO, found.as_of))
    if report is not None and report.total is None and report.report_date >= of:
        news.append(News("other_banks", was, None, report.source, str(report.lenders), report.report_date))
    if usable != Decimal(found.content["usable"]):
        news.append(News(GUARANTEES, Decimal(found.content["usable"]), usable, "guarantees"))
    return news


def news_now(
    actor: Actor,
    customer: Customer,
    found: LineCalculation,
    report: Elsewhere | None,
    rows: Iterable[GuaranteeRow],
) -> list[News]:
    """`news_since` by all that is on record now; `report` and `rows`: those of other banks and the live guarantees."""
    inputs, _missing, _flows = gather(actor, customer, report)
    return news_since(found, inputs, report, _usable(rows))


def news_seen(found: LineCalculation, report: Elsewhere | None, rows: Iterable[GuaranteeRow]) -> list[News]:
    """`news_since` by what was kept of the moment in which somebody decided."""
    return news_since(found, told_by(report) if report else [], report, _usable(rows))


def _usable(rows: Iterable[GuaranteeRow]) -> Decimal:
    return sum((row.usable.amount for row in rows), ZERO)
