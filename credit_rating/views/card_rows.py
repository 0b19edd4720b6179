"""A scorecard's factors and validation as its page draws them: charts, bins in words, what became of each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from credit_rating.engine.cards import CardBin
from credit_rating.factors import ANSWER, ORIGINS, SOURCES, Source
from credit_rating.models import CardOrigin, Scorecard
from credit_rating.sample_words import reason_text
from credit_rating.scorecards import in_language
from credit_rating.views.rating_rows import bin_data, bin_text
from crm_site.lib import formats

MOST_ROWS = 16  # what static/css/charts.css has a height for
LABEL_LINE = 17  # letters on a line of a label; words break earlier


def factor_cards(found: Scorecard) -> list[dict[str, Any]]:
    """Each factor with its bins as a chart and a table; a developed one with the cases of its sample."""
    rows = {row["code"]: row for row in found.body["tables"]["factors"]}
    known = (found.card or {}).get("factors", [])
    drawn = []
    for place, factor in enumerate(found.table().factors):
        row = rows[factor.code]
        source, title = SOURCES[row["source"]], in_language(row, "label")
        style = "number" if found.origin == CardOrigin.DEVELOPED and source.code == ANSWER else source.style
        cases = known[place]["bins"] if known else [None] * len(factor.bins)
        bins = [
            {"text": _bin_text(style, source.code, b, c), "points": b.points, "cases": c,
             "rate": c["bad"] / c["count"] if c and c["count"] else None}
            for b, c in zip(factor.bins, cases, strict=True)
        ]  # fmt: skip
        chart = _evidence_chart(place, title, bins) if known else _points_chart(place, title, bins)
        drawn.append(
            {"code": factor.code, "label": title, "about": _about(factor.code, title, source), "bins": bins, "most": factor.most,
             "iv": known[place]["iv"] if known else None, "chart": chart}
        )  # fmt: skip
    return drawn


def _bin_text(style: str, source: str, b: CardBin, cases: Mapping[str, Any] | None) -> str:
    """A bin in words; where the sample told something about missing values they are not neutral."""
    if b.kind == "missing" and cases and cases["woe"]:
        return _("value missing")
    return bin_text(style, source, bin_data(b))


def _about(code: str, title: str, source: Source) -> str:
    """Where a factor's value comes from; nothing that its title says already."""
    words = [str(ORIGINS[source.origin])] if source.code != ANSWER else [str(source.label)]
    if source.code != ANSWER and str(source.label) != title:
        words.append(str(source.label))
    if code not in (title, source.code):
        words.append(_("column %s") % code)
    return " · ".join(words)


def _by_rows(labels: Sequence[str], value: Any, series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Size and option of horizontal bars, a row for each label: every label is read, on a phone as well. `value`: the
    axis of values, or several."""
    several = len(series) > 1
    option = {
        "xAxis": value,
        "yAxis": {
            "type": "category", "inverse": True, "data": list(labels),
            "axisLabel": {"interval": 0, "width": 112, "overflow": "break", "lineHeight": 14},
        },
        "series": list(series),
    }  # fmt: skip
    if several:
        option |= {"legend": {"top": 0, "right": 0, "itemHeight": 8}, "grid": {"top": 32}}
    else:
        option |= {"grid": {"top": 8}}
    lines = max((-(-len(label) // LABEL_LINE) for label in labels), default=1)
    size = min(
        -(-(len(labels) * -(-lines // 2) + several) // 4) * 4, MOST_ROWS
    )  # a row of the size holds two lines
    return {"size": f"rows-{size}", "option": option}


def _points_chart(place: int, title: str, bins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"factor-{place}", "title": title, "unit": _("points"), "head": [_("Bin"), _("Points")],
        "rows": [[b["text"], f"{b['points']:f}"] for b in bins],
        **_by_rows(
            [b["text"] for b in bins], {"type": "value"},
            [{"type": "bar", "name": _("Points"), "data": [float(b["points"]) for b in bins]}],
        ),
    }  # fmt: skip


def _evidence_chart(place: int, title: str, bins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Weight of evidence as bars, bad rate in per cent as points on an axis of its own. Bins without a case of the
    sample have neither."""
    met = [b for b in bins if b["cases"]["count"]]
    woe, rate = _("Weight of evidence"), _("Bad rate, %")
    drawn = _by_rows(
        [b["text"] for b in met],
        [{"type": "value"}, {"type": "value", "min": 0, "splitLine": {"show": False}}],
        [
            {"type": "bar", "name": woe, "data": [round(b["cases"]["woe"], 4) for b in met]},
            {"type": "line", "name": rate, "xAxisIndex": 1, "symbol": "circle", "symbolSize": 7,
             "data": [round(b["rate"] * 100, 2) for b in met]},
        ],
    )  # fmt: skip
    drawn["option"] |= {"decimals": 2, "grid": {"top": 52}}  # the axis of the rate stands under the legend
    return {
        "id": f"factor-{place}", "title": title, "unit": "", "head": [_("Bin"), woe, _("Bad rate")],
        "rows": [[b["text"], f"{b['cases']['woe']:.3f}", formats.percent(b["rate"], 1)] for b in met], **drawn,
    }  # fmt: skip


def bands_chart(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Expected and observed bad rates by band of scores, of the part held back; None without a record of them."""
    bands = [band for band in (record or {}).get("bands", ()) if band["count"]]
    if not bands:
        return None
    expected, observed = _("Predicted rate, %"), _("Observed rate, %")
    return {
        "id": "bands", "title": _("Bad rate by band of scores, part held back"), "unit": "",
        "head": [_("Scores"), _("Cases"), _("Bad"), _("Predicted rate"), _("Observed rate")],
        "rows": [
            [b["label"], str(b["count"]), str(b["bad"]), formats.percent(b["expected"], 1),
             formats.percent(b["observed"], 1)]
            for b in bands
        ],
        **_by_rows(
            [b["label"] for b in bands], {"type": "value", "min": 0},
            [
                {"type": "bar", "name": observed, "data": [round(b["observed"] * 100, 2) for b in bands]},
                {"type": "line", "name": expected, "symbol": "circle", "symbolSize": 7,
                 "data": [round(b["expected"] * 100, 2) for b in bands]},
            ],
        ),
    }  # fmt: skip


def considered_rows(record: Mapping[str, Any] | None) -> list[tuple[str, float | None, str]]:
    """(column, information value, why it is no factor or "") of every column, most informative first."""
    given = record or {}
    judged = [(c["factor"], c["iv"], reason_text(c["left_out"])) for c in given.get("considered", ())]
    return judged + [(name, None, reason_text(why)) for name, why in given.get("left_out", {}).items()]
