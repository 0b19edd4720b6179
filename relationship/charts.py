"""Shapes of this room's charts; colours and type are the page's."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm_site.lib import formats
from crm_site.lib.formats import Unit, column_unit, money_in
from relationship.selectors.dashboards import TIERS, Month, Sums

_COLOURS = {3: "t-high", 2: "t-mid", 1: "t-general"}
_FIELD = {"deposits": "deposits_adb", "loans": "loans"}


def tier_name(rank: int) -> str:
    return {3: pgettext("tier", "High"), 2: pgettext("tier", "Mid"), 1: pgettext("tier", "General")}[rank]


def balances(months: Sequence[Month], measure: str, currency: str, urls: dict[int, str]) -> dict[str, Any]:
    """Stacked columns of deposits or loans by tier; the newest column opens its lists (`urls` by tier rank)."""
    field = _FIELD[measure]
    unit = column_unit([getattr(month.total, field) for month in months])
    labels = [formats.month(month.day) for month in months]
    series = []
    for rank in reversed(TIERS):
        data: list[Any] = [_scaled(getattr(month.by_tier.get(rank, Sums()), field), unit) for month in months]
        if data:
            data[-1] = {"value": data[-1], "href": urls[rank]}
        series.append(
            {
                "type": "bar",
                "stack": "tiers",
                "name": tier_name(rank),
                "itemStyle": {"color": _COLOURS[rank]},
                "data": data,
            }
        )
    rows = [
        [
            label,
            *(money_in(getattr(month.by_tier.get(rank, Sums()), field), unit) for rank in TIERS),
            money_in(getattr(month.total, field), unit),
        ]
        for label, month in zip(labels, months, strict=True)
    ]
    return {
        "id": f"{measure}-by-tier",
        "title": _("Balances by tier"),
        "unit": formats.unit_name(unit, currency),
        "url": "",
        "size": "short",
        "option": {
            "xAxis": {"type": "category", "data": labels},
            "yAxis": {"type": "value"},
            "series": list(reversed(series)),
        },
        "head": [_("Month"), *(tier_name(rank) for rank in TIERS), _("All")],
        "rows": rows,
    }


def _scaled(amount: Decimal, unit: Unit) -> float:
    return float(round(amount / unit.divisor, max(unit.decimals, 1)))
