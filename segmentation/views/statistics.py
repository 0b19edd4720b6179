"""The overview of the book, and the list of those who moved."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from crm_site.lib import formats
from crm_site.lib.guards import allowed
from customers.links import urls_for_condition
from customers.models import CustomerKind
from customers.models.standing import TIER_LABELS
from segmentation.forms import MoversForm, ScopeForm
from segmentation.models.tiers import SCHEME_LABELS
from segmentation.selectors import book
from segmentation.selectors.tiers import MoverQuery, movers
from segmentation.views.charts import lorenz_chart, trend_chart


def _scope(form: ScopeForm) -> book.Scope:
    return book.Scope(form.value("unit"), form.value("kind") or "")


def _address(form: ScopeForm, **changes: Any) -> str:
    """The overview's address with some choices changed ("" leaves one out)."""
    unit, day = form.value("unit"), form.value("day")
    now = {
        "unit": unit.pk if unit else "",
        "kind": form.value("kind"),
        "scheme": form.value("scheme"),
        "day": day.isoformat() if day else "",
    }
    return "?" + urlencode({name: value for name, value in {**now, **changes}.items() if value})


@allowed("segmentation.read")
@require_GET
def overview(request: Any) -> HttpResponse:
    """Counts, balances, averages and shares; concentration; who moved."""
    units = book.units_in_reach(request.actor)
    form = ScopeForm(request.GET, units)
    days = book.counted_days()
    context: dict[str, Any] = {"days": days, "units": units}
    if days:
        day = form.value("day") if form.value("day") in days else days[0]
        context |= _choices(form, units, days, day) | _figures(
            request.actor, form, day, is_newest=day == days[0]
        )
    template = "segmentation/_overview.html" if _partial(request) else "segmentation/overview.html"
    return render(request, template, context)


def _partial(request: Any) -> bool:
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


def _choices(form: ScopeForm, units: Any, days: Any, day: Any) -> dict[str, Any]:
    """The filters as chips: (address, label, chosen)."""
    scheme, unit = form.value("scheme") or "value", form.value("unit")
    kinds = [("", _("All kinds")), *CustomerKind.choices]
    return {
        "scheme": scheme,
        "unit": unit,
        "day": day,
        "kind_label": dict(CustomerKind.choices).get(form.value("kind") or "", _("All kinds")),
        "schemes": [
            (_address(form, scheme=code), label, code == scheme) for code, label in SCHEME_LABELS.items()
        ],
        "kind_choices": [
            (_address(form, kind=code), label, code == (form.value("kind") or "")) for code, label in kinds
        ],
        "unit_choices": [
            (_address(form, unit=""), _("Everything I see"), unit is None),
            *((_address(form, unit=u.pk), u.name, unit == u) for u in units),
        ],
        "day_choices": [(_address(form, day=d.isoformat()), d, d == day) for d in days],
    }


def _figures(actor: Any, form: ScopeForm, day: Any, *, is_newest: bool) -> dict[str, Any]:
    scope, scheme = _scope(form), form.value("scheme") or "value"
    lines = book.by_tier(actor, scope, day, scheme, is_newest=is_newest)
    curve = book.concentration(actor, scope, day, "deposits_adb")
    moved = book.movement(actor, scope, day, scheme)
    heads = [TIER_LABELS[code] for code in book.RANKS[scheme].values()]
    return {
        "is_newest": is_newest,
        "tiers": _table(lines, TIER_LABELS, scope.condition if is_newest else {}),
        "kinds": _table(book.by_kind(actor, scope, day, is_newest=is_newest), dict(CustomerKind.choices), {}),
        "branches": [
            (
                line,
                [
                    (tier, _url(tier) if tier.customers else "", head)
                    for tier, head in zip(line.tiers, heads, strict=True)
                ],
                _url(line.total),
            )
            for line in book.by_branch(actor, scope, day, scheme, is_newest=is_newest)
        ],
        "tier_heads": heads,
        "tier_sums": [(head, line.customers) for head, line in zip(heads, lines, strict=True)],
        "uses": [(line, _use_label(line.uses), _url(line)) for line in book.by_use(actor, scope, day, is_newest=is_newest)],
        "trend": trend_chart(book.trend(actor, scope, scheme, day), scheme),
        "curve": curve,
        "lorenz": lorenz_chart(curve, scope, is_newest=is_newest) if curve else None,
        "moved": moved,
        "moves": matrix(moved, scheme, form) if moved else None,
        "movers_url": _movers_url(form, moved, scheme) if moved else "",
    }  # fmt: skip


def _url(line: Any) -> str:
    return urls_for_condition(line.condition) if line.condition else ""


def _table(lines: Any, labels: Any, condition: Any) -> dict[str, Any]:
    """Lines with shares and a total that they add up to."""
    total = {
        name: sum(getattr(line, name) for line in lines)
        for name in ("customers", "depositors", "borrowers", "deposits_adb", "loans")
    }
    rows = [
        {
            "line": line, "label": labels[line.key], "url": _url(line),
            "share": line.customers / total["customers"] if total["customers"] else None,
            "deposits_share": line.deposits_adb / total["deposits_adb"] if total["deposits_adb"] else None,
        }
        for line in lines
    ]  # fmt: skip
    average = total["deposits_adb"] / total["customers"] if total["customers"] else None
    return {
        "rows": rows, "total": total, "average": average,
        "url": urls_for_condition(condition) if condition else "",
        "amounts": [total["deposits_adb"], total["loans"]],
        "averages": _average_unit([average, *(line.average for line in lines)]),
    }  # fmt: skip


def _average_unit(averages: list[Decimal | None]) -> formats.Unit:
    """Averages of the few rich and the many others in one column: in millions the many would all read <0.1."""
    wanted = formats.column_unit(averages)
    return formats.THOUSAND if wanted == formats.MILLION else wanted


def _use_label(uses: tuple[str, ...]) -> str:
    words = {"deposit": _("deposits"), "loan": _("loans"), "fee": _("fees")}
    return " + ".join(words[use] for use in uses) or _("nothing")


def _movers_url(form: ScopeForm, moved: book.Movement, scheme: str, **chosen: Any) -> str:
    base = _address(form, scheme=scheme, day=moved.as_of.isoformat())
    more = urlencode({name: value for name, value in chosen.items() if value != ""})
    return reverse("segmentation:movers") + base + (f"&{more}" if more else "")


def matrix(moved: book.Movement, scheme: str, form: ScopeForm) -> dict[str, Any]:
    """The movement as templates/_shared/migration.html wants it. New customers are a row of their own."""
    ranks = book.RANKS[scheme]
    badge = scheme == "value"
    largest = max((n for (a, b), (n, _d) in moved.cells.items() if a and a != b), default=0)
    rows = []
    for start in [*ranks, 0]:
        cells: list[dict[str, Any]] = [
            {
                "count": moved.cells.get((start, end), (0, 0))[0], "from": start or end, "to": end,
                "largest": largest, "url": _movers_url(form, moved, scheme, start=start, end=end),
            }
            for end in ranks
        ]  # fmt: skip
        if start or any(bool(cell["count"]) for cell in cells):
            rows.append(
                {
                    "tier": ranks[start] if start and badge else "",
                    "label": TIER_LABELS[ranks[start]] if start else _("New"),
                    "cells": cells,
                    "total": sum(cell["count"] for cell in cells),
                }
            )
    return {
        "corner": _("From, rows. To, columns"),
        "total_head": formats.month(moved.before),
        "columns": [{"key": code, "label": TIER_LABELS[code]} for code in ranks.values()],
        "rows": rows,
        "total": {
            "label": formats.month(moved.as_of),
            "cells": [
                *(sum(n for (_a, b), (n, _d) in moved.cells.items() if b == end) for end in ranks),
                sum(n for n, _d in moved.cells.values()),
            ],
        },
    }


@allowed("segmentation.read")
@require_GET
def mover_list(request: Any) -> HttpResponse:
    """Who moved between two tiers, up, down or anywhere."""
    form = MoversForm(request.GET, book.units_in_reach(request.actor))
    scheme, days = form.value("scheme") or "value", book.counted_days()
    day = form.value("day") if form.value("day") in days else (days[0] if days else None)
    moved = book.movement(request.actor, _scope(form), day, scheme) if day else None
    context: dict[str, Any] = {"scheme": SCHEME_LABELS[scheme], "moved": moved}
    if moved:
        query = MoverQuery(
            scheme, moved.as_of, moved.before, _scope(form), form.rank("start"), form.rank("end"),
            form.value("direction") or "",
        )  # fmt: skip
        rows, following = movers(request.actor, query, form.value("after") or "")
        codes = {0: "", **book.RANKS[scheme]}
        context |= {
            "rows": [(row, codes[row.tier_before or 0], codes[row.tier_after or 0]) for row in rows],
            "query": query,
            "is_value": scheme == "value",
            "start_label": TIER_LABELS.get(codes.get(query.from_rank or 0, ""), _("New"))
            if query.from_rank is not None
            else "",
            "end_label": TIER_LABELS.get(codes.get(query.to_rank or 0, ""), "")
            if query.to_rank is not None
            else "",
            "next_url": f"{request.path}?{urlencode({**request.GET.dict(), 'after': following})}"
            if following
            else "",
            "first_url": f"{request.path}?{urlencode({k: v for k, v in request.GET.items() if k != 'after'})}",
            "up_url": _movers_url(form, moved, scheme, direction="up"),
            "down_url": _movers_url(form, moved, scheme, direction="down"),
            "all_url": _movers_url(form, moved, scheme),
        }
    template = "segmentation/_mover_table.html" if _partial(request) else "segmentation/movers.html"
    return render(request, template, context)
