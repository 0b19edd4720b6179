"""A rating's factors as pages draw them: names, values, bins in the reader's words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, npgettext

from credit_rating import words
from credit_rating.engine.cards import CardBin
from credit_rating.factors import GROUPS, ORIGINS, SOURCES
from credit_rating.models import Rating
from credit_rating.policies.grades import GRADES
from credit_rating.scorecards import in_language
from crm_site.accounts.banks import home_currency
from crm_site.lib import formats
from crm_site.lib.tenancy import require_bank

BOUND_DIGITS = 6  # significant ones that a bound is shown with


def value_text(style: str, source: str, value: str | None) -> str:
    """A value in words; "" for a missing one. Money is left to the template."""
    if value is None:
        return ""
    choices = dict(SOURCES[source].choices)
    if value in choices:
        return str(choices[value])
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if style == "percent":
        return formats.percent(number, 1)
    text = f"{number.quantize(Decimal('0.01')).normalize():f}"
    return _with_unit(style, source, text)


def _with_unit(style: str, source: str, text: str) -> str:
    """A number or a range of numbers with what it counts: 18 years, 31–61 days, CNY 5,000–20,000."""
    count = 1 if text == "1" else 2  # a range is many
    if style == "years" and source == "age_years":
        return npgettext("age", "%s year", "%s years", count) % text
    if style == "years":
        return ngettext("%s year", "%s years", count) % text
    if style == "days":
        return ngettext("%s day", "%s days", count) % text
    if style == "money":
        unit = formats.amount_unit(home_currency(require_bank()))
        return f"{text} {unit}" if formats.is_chinese() else f"{unit} {text}"
    return f"{text} {SOURCES[source].unit}".strip()


def bin_text(style: str, source: str, b: Mapping[str, Any]) -> str:
    """A bin in words: 50%–60%, ≥ 15, below 1, an answer, missing."""
    if b["kind"] == "missing":
        return _("missing: neutral")
    if b["kind"] == "other":
        return _("other")
    if b["kind"] != "range":
        return "、".join(value_text("choice", source, v) for v in b["values"])
    low, high = (None if b[end] is None else _bound(style, Decimal(b[end])) for end in ("lower", "upper"))
    if low is None and high is None:
        return _("any")
    sign, text = ("< ", high) if low is None else ("≥ ", low) if high is None else ("", f"{low}–{high}")
    return f"{sign}{text if style == 'percent' else _with_unit(style, source, str(text))}"


def _bound(style: str, number: Decimal) -> str:
    if style == "percent":
        return f"{(number * 100).normalize():f}%"
    if style == "money":
        return f"{_short(number):,f}"
    return f"{_short(number):f}"


def _short(number: Decimal) -> Decimal:
    """A bound as people read it: a sample's own may have a dozen decimals. Whole digits all stay."""
    places = max(0, BOUND_DIGITS - max(number.adjusted() + 1, 1))
    return round(number, places).normalize()


def source_text(factor: Mapping[str, Any]) -> str:
    """Where the value comes from: the year of a statement, how it was collected, the bank's own data."""
    origin, detail = SOURCES[factor["source"]].origin, factor["detail"]
    if origin == "ratio" and detail:
        return _("statements of %s") % detail
    if origin == "collected" and detail:
        return str(words.SOURCES.get(detail, detail))
    return str(ORIGINS[origin])


def factor_rows(factors: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups with their sums and the factors in them."""
    every = list(factors)
    groups = []
    for code, label in GROUPS:
        rows = [_row(f) for f in every if f["group"] == code]
        if rows:
            points, most = (sum((r[name] for r in rows), Decimal(0)) for name in ("points", "most"))
            groups.append({"label": label, "rows": rows, "points": points, "most": most})
    return groups


def _row(f: Mapping[str, Any]) -> dict[str, Any]:
    points, most = Decimal(f["points"]), Decimal(f["most"])
    return {
        "label": in_language(f, "label"),
        "money": Decimal(f["value"]) if f["style"] == "money" and f["value"] is not None else None,
        "value": value_text(f["style"], f["source"], f["value"]),
        "is_missing": f["value"] is None,
        "bin": bin_text(f["style"], f["source"], f["bin"]),
        "source": source_text(f) if f["value"] is not None else "",
        "as_of": dt.date.fromisoformat(f["as_of"]) if f["as_of"] else None,
        "points": points,
        "most": most,
        "is_low": points * 2 < most,
    }


def bin_data(b: CardBin) -> dict[str, Any]:
    """A card's bin as `bin_text` takes it."""
    return {
        "kind": b.kind, "values": list(b.values), "lower": None if b.lower is None else str(b.lower),
        "upper": None if b.upper is None else str(b.upper),
    }  # fmt: skip


def history_chart(ratings: list[Rating]) -> dict[str, Any] | None:
    """The customer's grades over time, oldest first; None before the second."""
    decided = [r for r in reversed(ratings) if r.decided_at is not None and r.expires_on is not None]
    if len(decided) < 2:
        return None
    worst_first = list(reversed(GRADES))
    heads = [formats.day(r.as_of) for r in decided]
    return {
        "id": "grade-history", "title": _("Grades over time"), "unit": "",
        "head": [_("Date"), _("Grade"), _("Score")],
        "rows": [[formats.day(r.as_of), r.grade, formats.number(r.score, 0)] for r in decided],
        "option": {
            "xAxis": {"type": "category", "data": heads},
            "yAxis": {"type": "category", "data": worst_first, "axisLabel": {"interval": 0}},
            "series": [{"type": "line", "step": "end", "name": _("Grade"), "data": [r.grade for r in decided]}],
        },
    }  # fmt: skip
