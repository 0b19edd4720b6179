"""Charts of the book as data and shape; colours and type come from the theme."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from crm_site.accounts.banks import home_currency
from crm_site.lib import formats
from crm_site.lib.tenancy import require_bank
from customers.conditions import both, fact_is
from customers.links import urls_for_condition
from customers.models.standing import TIER_LABELS
from segmentation.models import Concentration
from segmentation.selectors.book import RANKS, Scope

SHADES = {"high": "t-high", "mid": "t-mid", "general": "t-general"}


def _rounded(value: Decimal, unit: formats.Unit) -> float:
    return float(round(value / unit.divisor, unit.decimals))


def trend_chart(
    days: Mapping[dt.date, Mapping[int, Mapping[str, Any]]], scheme: str
) -> dict[str, Any] | None:
    """Deposits by tier at month-ends, stacked; None before the second date. Wealth levels are drawn as one total."""
    if len(days) < 2:
        return None
    totals = [sum((cell["d"] for cell in cells.values()), Decimal(0)) for cells in days.values()]
    unit = formats.column_unit(totals)
    heads = [formats.month(day) for day in days]
    ranks = dict(RANKS[scheme]) if scheme == "value" else {0: "all"}
    series, rows = [], [[head] for head in heads]
    for rank, code in ranks.items():
        amounts = [
            cells[rank]["d"] if rank in cells else Decimal(0) for cells in days.values()
        ] if rank else totals  # fmt: skip
        series.append(
            {
                "type": "bar", "stack": "deposits", "name": str(TIER_LABELS.get(code, _("Deposits"))),
                "itemStyle": {"color": SHADES.get(code, "c1")}, "data": [_rounded(a, unit) for a in amounts],
            }
        )  # fmt: skip
        for row, amount in zip(rows, amounts, strict=True):
            row.append(formats.money_in(amount, unit))
    return {
        "id": "tier-trend", "title": _("Deposits by tier"), "unit": _("%(unit)s, daily average") % {"unit": formats.unit_name(unit, home_currency(require_bank()))},
        "size": "short", "head": [_("Date"), *(one["name"] for one in series)], "rows": rows,
        "option": {
            "xAxis": {"type": "category", "data": heads}, "yAxis": {"type": "value"}, "series": series,
        },
    }  # fmt: skip


def lorenz_chart(curve: Concentration, scope: Scope, *, is_newest: bool) -> dict[str, Any]:
    """What share of the deposits the largest p per cent of the depositors bring."""
    points = [[p, round(share * 100, 1)] for p, share in curve.points]
    top = both(scope.condition, fact_is(curve.measure, curve.top20_from, ">="))
    return {
        "id": "lorenz", "title": _("Concentration of deposits"), "unit": _("%, largest customers first"), "size": "short",
        "url": urls_for_condition(top) if is_newest else "",
        "head": [_("Largest customers"), _("Share of deposits")],
        "rows": [[f"{p}%", f"{share:.1f}%"] for p, share in points],
        "option": {
            "xAxis": {"type": "value", "min": 0, "max": 100},
            "yAxis": {"type": "value", "min": 0, "max": 100},
            "series": [
                {"type": "line", "name": _("share of deposits"), "data": points, "areaStyle": {}},
                {"type": "line", "name": _("all alike"), "data": [[0, 0], [100, 100]],
                 "lineStyle": {"type": "dashed"}, "itemStyle": {"color": "ink-3"}},
            ],
        },
    }  # fmt: skip
