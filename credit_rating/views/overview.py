"""The credit overview of the bank or of a branch, and the list of everything that waits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from credit_rating.forms_cases import WaitingFilterForm
from credit_rating.models import CaseStatus
from credit_rating.models.cases import STAGES
from credit_rating.policies.caps import CAPS
from credit_rating.policies.classes import BAD, CODES, LABELS
from credit_rating.policies.grades import GRADES
from credit_rating.policies.warnings import LEVELS as GRAVITY
from credit_rating.selectors import overview as selectors
from credit_rating.selectors.cases import MOST_COUNTED
from credit_rating.selectors.exposure import related_use
from credit_rating.selectors.lines import LATER, NO_GRADE, ladder_end
from credit_rating.selectors.overview import Biggest, Cell, Counted
from credit_rating.selectors.waiting import AGES, LATE, stage_ages, waiting_cases, waiting_ratings
from credit_rating.views.case_page import TAB_LABELS
from credit_rating.views.case_rows import case_rows
from credit_rating.views.lines import BAND_LABELS
from crm_site.accounts.selectors import bank_today
from crm_site.lib import formats
from crm_site.lib.dates import add_months
from crm_site.lib.formats import column_unit, money_in
from crm_site.lib.guards import allowed
from customers.conditions import both, fact_is
from customers.links import urls_for_condition

AGE_LABELS = {
    LATE: gettext_lazy("Overdue"),
    "new": gettext_lazy("up to 2 days"),
    "days": gettext_lazy("3 to 5 days"),
    "week": gettext_lazy("6 to 10 days"),
    "long": gettext_lazy("more than 10 days"),
}
COVERAGE = {
    "in_force": gettext_lazy("rated"),
    "expired": gettext_lazy("rating expired"),
    "never": gettext_lazy("never rated"),
}
NON_PERFORMING = ("3", "4", "5")


def _url(name: str, **query: object) -> str:
    return f"{reverse(f'credit_rating:{name}')}?{urlencode(query)}"


@allowed("credit.overview")
@require_GET
def dashboard(request: Any) -> HttpResponse:
    """What waits and how long, what the lines come to, where the bank is exposed, and what gets worse."""
    today = bank_today(request.bank)
    history = selectors.counted(request.actor)
    newest = history[-1] if history else None
    waiting = _waiting(stage_ages(request.actor, today))
    context: dict[str, Any] = {
        "day": today, "newest": newest, "waiting": waiting, "ratings_waiting": waiting_ratings(request.actor),
    }  # fmt: skip
    if newest is not None:
        before = history[-2] if len(history) > 1 else None
        biggest = selectors.biggest(request.actor, newest.day)
        context |= {
            "before": before, "figures": _figures(newest, before), "grades": _grades(newest), "bands": _bands(newest),
            "ladder": _ladder(newest, request.bank.currency), "migration": _migration(newest),
            "classes": _classes(newest, before), "unclassed": newest.total("coverage").amount - newest.total("class").amount, "warnings": _warnings(newest, before), "coverage": _coverage(newest),
            "biggest": biggest, "use": related_use(newest.day), "stakes": _stakes(biggest), "trend": _trend(history),
            "unpriced": [(key, newest.of("unpriced", key).count) for key in newest.keys("unpriced")],
        }  # fmt: skip
    return render(request, "credit_rating/overview.html", context)


@allowed("credit.overview")
@require_GET
def glance(request: Any) -> HttpResponse:
    """Where the bank is exposed, in a line for the home of who answers for it; empty before the first night."""
    history = selectors.counted(request.actor)
    if not history:
        return HttpResponse()
    newest, before = history[-1], history[-2] if len(history) > 1 else None
    biggest = selectors.biggest(request.actor, newest.day)
    context = {
        "newest": newest, "before": before, "figures": _figures(newest, before), "biggest": biggest, "tightest": biggest.tightest,
        "grave": _warnings(newest, before)[0], "migration": _migration(newest),
    }  # fmt: skip
    return render(request, "credit_rating/_glance.html", context)


def _waiting(found: dict[tuple[str, str], int]) -> dict[str, Any]:
    """Cases by stage and age, overdue ones first, each with its list."""
    ages = (LATE, *AGES)

    def row(stage: str, label: Any) -> dict[str, Any]:
        cells = [sum(n for (s, a), n in found.items() if a == age and stage in ("", s)) for age in ages]
        query = {"stage": stage} if stage else {}
        return {
            "label": label,
            "cells": [(n, _url("waiting", **query, age=age), age == LATE, AGE_LABELS[age]) for age, n in zip(ages, cells, strict=True)],
            "total": (sum(cells), _url("waiting", **query)),
        }  # fmt: skip

    return {
        "heads": [AGE_LABELS[age] for age in ages],
        "rows": [row(stage.value, CaseStatus(stage).label) for stage in STAGES],
        "all": row("", _("All")),
        "late": sum(n for (_s, age), n in found.items() if age == LATE),
        "late_url": _url("waiting", age=LATE),
    }


def _figures(now: Counted, before: Counted | None) -> dict[str, Any]:
    """The strip on top."""
    lines, covered = now.total("use"), now.total("coverage")
    bad, all_loans = now.total("class", NON_PERFORMING), now.total("class")
    return {
        "lines": lines,
        "lines_url": _url("line-list", status="lives"),
        "covered": now.of("coverage", "in_force").count / covered.count if covered.count else None,
        "borrowers": covered.count,
        "rated": now.of("coverage", "in_force").count,
        "rated_url": _borrowers("in_force"),
        "bad": bad,
        "bad_share": bad.amount / all_loans.amount if all_loans.amount else None,
        "bad_before": before.total("class", NON_PERFORMING) if before else None,
        "bad_url": _url("class-list", level=BAD),
        "warnings": now.total("warning").count,
        "warnings_before": before.total("warning").count if before else None,
        "warnings_url": reverse("credit_rating:warning-list"),
    }


def _line_row(label: Any, cell: Cell, url: str, **more: Any) -> dict[str, Any]:
    return {"label": label, "cell": cell, "url": url, **more}


def _grades(now: Counted) -> dict[str, Any]:
    """Lines by the grade in force; every grade is there, so that an empty one is seen to be empty."""
    rows = [_line_row(g, now.of("grade", g), _url("line-list", grade=g), grade=g) for g in GRADES]
    none = _line_row(_("not rated"), now.of("grade", NO_GRADE), _url("line-list", grade=NO_GRADE), grade="")
    total = now.total("grade")
    return {
        "rows": [*rows, none],
        "total": total,
        "unit": column_unit([total.amount]),
        "url": _url("line-list", status="lives"),
    }


def _bands(now: Counted) -> dict[str, Any]:
    """Lines by how much of them is in use, the fullest first."""
    order = ("high", "mid", "low", "unused")
    rows = [
        _line_row(
            BAND_LABELS[b], now.of("use", b), _url("line-list", status="lives", use=b), is_high=b == "high"
        )
        for b in order
    ]
    return {"rows": rows, "unit": column_unit([now.total("use").amount])}


def _ladder(now: Counted, currency: str) -> dict[str, Any] | None:
    """Limits that end in each of the next twelve months, and later; a bar opens its list."""
    end = ladder_end(now.day + dt.timedelta(days=1))
    keys = [f"{add_months(end, n - 12):%Y-%m}" for n in range(12)] + [LATER]
    cells = [now.of("expiry", key) for key in keys]
    if not any(cell.count for cell in cells):
        return None
    unit = column_unit([cell.amount for cell in cells])
    labels = [formats.month(dt.date.fromisoformat(f"{key}-01")) for key in keys[:-1]] + [_("After that")]
    data = [
        {
            "value": float(round(cell.amount / unit.divisor, max(unit.decimals, 1))),
            "href": _url("line-list", ends=key),
        }
        for key, cell in zip(keys, cells, strict=True)
    ]
    return {
        "id": "expiry", "title": _("Lines by the month of their end"), "unit": formats.unit_name(unit, currency), "url": "",
        "head": [_("Month"), _("Lines"), _("Limit"), _("Amount in use")],
        "rows": [
            [label, formats.number(c.count), money_in(c.amount, unit), money_in(c.used, unit)]
            for label, c in zip(labels, cells, strict=True)
        ],
        "option": {
            "xAxis": {"type": "category", "data": labels, "axisLabel": {"interval": 0, "rotate": 45}}, "yAxis": {"type": "value"},
            "series": [{"type": "bar", "name": _("Limit"), "itemStyle": {"color": "c1"}, "data": data}],
        },
    }  # fmt: skip


def _migration(now: Counted) -> dict[str, Any] | None:
    """Grades a year ago against grades now, as templates/_shared/migration.html wants it; grades that occur alone."""
    cells = {(key, other): cell.count for (s, key, other), cell in now.cells.items() if s == "migration"}
    if not cells:
        return None
    ranks = {grade: len(GRADES) - place for place, grade in enumerate(GRADES)}
    used = [g for g in (*GRADES, NO_GRADE) if any(g in pair for pair in cells)]
    largest = max((n for (a, b), n in cells.items() if a != b and NO_GRADE not in (a, b)), default=1)

    def cell(before: str, after: str) -> dict[str, Any]:
        rank = ranks.get(before, 0), ranks.get(after, 0)
        moves = rank if all(rank) else (0, 0)  # who comes or goes has moved neither up nor down
        url = _url("rating-list", list="moved", before=before, now=after)
        return {
            "count": cells.get((before, after), 0),
            "from": moves[0],
            "to": moves[1],
            "largest": largest,
            "url": url,
        }

    rows = [
        {"grade": "" if a == NO_GRADE else a, "label": _("not rated"), "cells": [cell(a, b) for b in used],
         "total": sum(cells.get((a, b), 0) for b in used)}
        for a in used
    ]  # fmt: skip
    sums = [sum(cells.get((a, b), 0) for a in used) for b in used]
    up = sum(n for (a, b), n in cells.items() if 0 < ranks.get(a, 0) < ranks.get(b, 0))
    down = sum(n for (a, b), n in cells.items() if ranks.get(a, 0) > ranks.get(b, 0) > 0)
    return {
        "corner": _("A year ago, rows. Now, columns"),
        "columns": [{"label": _("not rated") if g == NO_GRADE else g} for g in used],
        "rows": rows,
        "total_head": _("A year ago"),
        "total": {"label": _("Now"), "cells": [*sums, sum(sums)]},
        "up": up, "down": down, "since": selectors.a_year_before(now.day),
    }  # fmt: skip


def _classes(now: Counted, before: Counted | None) -> dict[str, Any]:
    """The five classes by loans and amount, beside the month-end before."""
    total = now.total("class")
    rows = []
    for level, code in CODES.items():
        cell = now.of("class", str(int(level)))
        rows.append(
            {"code": code, "label": LABELS[code], "cell": cell, "url": _url("class-list", level=code),
             "share": cell.amount / total.amount if total.amount else None,
             "change": cell.count - before.of("class", str(int(level))).count if before else None}
        )  # fmt: skip
    return {"rows": rows, "total": total, "unit": column_unit([total.amount])}


def _warnings(now: Counted, before: Counted | None) -> list[dict[str, Any]]:
    rows = []
    for level, label in reversed(GRAVITY):
        n = now.of("warning", level).count
        change = n - before.of("warning", level).count if before else None
        rows.append(
            {
                "level": level,
                "label": label,
                "count": n,
                "url": _url("warning-list", level=level),
                "change": change,
            }
        )
    return rows


def _borrowers(state: str) -> str:
    return urls_for_condition(
        both(fact_is("is_prospect", False), fact_is("loans", "0", ">"), fact_is("rating_state", state)),
        sort="-loans",
    )


def _coverage(now: Counted) -> dict[str, Any]:
    """Borrowers by whether a rating holds for them."""
    total = now.total("coverage")
    rows = [
        {"label": label, "cell": now.of("coverage", state), "url": _borrowers(state), "state": state,
         "share": now.of("coverage", state).count / total.count if total.count else None}
        for state, label in COVERAGE.items()
    ]  # fmt: skip
    return {"rows": rows, "total": total, "unit": column_unit([total.amount])}


def _stakes(found: Biggest) -> list[tuple[str, list[dict[str, Any]]]]:
    """The greatest customers and groups with the cap that leaves them least room."""
    parts = ((_("Customers"), found.customers), (_("Groups"), found.groups))
    return [
        (title, [
            {"row": one.row, "use": one.use, "cap": CAPS[one.use.code][0] if one.use else "",
             "url": reverse("credit_rating:exposure", args=[one.row.customer_id])}
            for one in rows
        ])
        for title, rows in parts if rows
    ]  # fmt: skip


def _trend(history: Sequence[Counted]) -> dict[str, Any] | None:
    """What share of the lines was in use at each month-end; None before there are two dates."""
    shares = [(month.day, month.total("use").share) for month in history]
    known = [(day, share) for day, share in shares if share is not None]
    if len(known) < 2:
        return None
    labels = [formats.month(day) for day, _share in known]
    return {
        "id": "use-trend", "title": _("Lines in use"), "unit": "%", "url": "", "size": "short",
        "head": [_("Month"), _("In use")],
        "rows": [[label, formats.percent(share)] for label, (_d, share) in zip(labels, known, strict=True)],
        "option": {
            "xAxis": {"type": "category", "data": labels}, "yAxis": {"type": "value"},
            "series": [
                {"type": "line", "name": _("In use"), "endLabel": True,
                 "data": [round(float(share) * 100, 1) for _d, share in known]}
            ],
        },
    }  # fmt: skip


@allowed("credit.read")
@require_GET
def waiting(request: Any) -> HttpResponse:
    """Every case that waits among those that the person sees, whoever's turn it is."""
    today, form = bank_today(request.bank), WaitingFilterForm(request.GET)
    found = waiting_cases(
        request.actor, stage=form.stage, age=form.age, today=today, after=request.GET.get("after", "")
    )
    context = {
        "rows": case_rows(found.rows, today), "tab": "waiting", "tabs": TAB_LABELS.items(), "filters": form.menus(AGE_LABELS),
        "next_url": form.url(after=found.following) if found.following else "",
        "first_url": form.url() if request.GET.get("after") else "", "count": found.count, "most_counted": MOST_COUNTED,
    }  # fmt: skip
    return render(request, "credit_rating/case_list.html", context)
