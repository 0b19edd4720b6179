"""Dashboards: one branch, and all branches compared."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from credit_rating.selectors.cases import inbox, listed
from credit_rating.selectors.waiting import ratings_to_decide
from crm_site.accounts.models import OrgUnit
from crm_site.accounts.selectors import working_day
from crm_site.accounts.versions import VersionStatus
from crm_site.lib import formats
from crm_site.lib.dates import quarter_end
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import Actor, may
from customers.conditions import fact_is
from customers.models import CustomerKind
from customers.models.standing import VALUE_TIERS
from relationship import charts, links
from relationship.selectors import dashboards
from relationship.selectors.dashboards import Month, Moves, Scope
from relationship.selectors.loads import Load, loads, owners_of, totals
from relationship.selectors.queue import in_queue
from relationship.selectors.units import readable_unit
from segmentation.models import TierPolicy
from segmentation.selectors.churn import champions, churn_known

# Cases that a home names.
HOME_CASES = 5
FULLEST = 12  # managers that a branch's dashboard lists; the page of all staff has the others


def _scope(request: Any, unit: OrgUnit) -> Scope:
    kind = request.GET.get("kind", "")
    return Scope(request.actor, unit, kind if kind in CustomerKind.values else "")


def _matrix(scope: Scope, moved: Moves | None) -> dict[str, Any] | None:
    """Who moved, as templates/_shared/migration.html wants it."""
    if moved is None:
        return None
    ranks = dashboards.TIERS
    largest = max((n for (a, b), (n, _d) in moved.cells.items() if a != b and a and b), default=1)
    rows = []
    for before in (*ranks, 0):
        cells = [
            {
                "count": moved.count(before, after),
                "from": before or after,  # who is new has moved neither up nor down
                "to": after,
                "largest": largest,
                "url": dashboards.move_url(scope, before, after),
            }
            for after in ranks
        ]
        label = charts.tier_name(before) if before else _("New")
        total = sum(moved.count(before, after) for after in ranks)
        rows.append({"tier": VALUE_TIERS.get(before, ""), "label": label, "cells": cells, "total": total})
    sums = [sum(moved.count(before, after) for before in (*ranks, 0)) for after in ranks]
    return {
        "corner": _("From, rows. To, columns"),
        "columns": [{"label": charts.tier_name(rank), "tier": VALUE_TIERS[rank]} for rank in ranks],
        "rows": rows,
        "total_head": formats.month(moved.before),
        "total": {"label": formats.month(moved.day), "cells": [*sums, sum(sums)]},
    }


def _balances(request: Any, scope: Scope, day: dt.date) -> dict[str, Any]:
    """Trend, tiers, movement: what both dashboards show of the summaries."""
    months, moved = dashboards.summary(scope)
    newest = months[-1] if months else None
    measure = "loans" if request.GET.get("measure") == "loans" else "deposits"
    lines = dashboards.tier_lines(scope, newest) if newest else []
    urls = {
        rank: line.loans_url if measure == "loans" else line.url
        for rank, line in zip(dashboards.TIERS, lines, strict=False)
    }
    # What the drawing shows, and all that it depends on: the same figures are drawn once (templates: "drawn").
    shown = (get_language(), request.bank.currency, day, scope.unit.pk, scope.kind, scope.line_kinds, measure)
    return {
        "drawn_from": repr((shown, months, moved)),
        "measure": measure,
        "newest": newest,
        "before": months[-2] if len(months) > 1 else None,
        "tier_lines": lines,
        "chart": cache(lambda: charts.balances(months, measure, request.bank.currency, urls)),
        "moved": moved,
        "matrix": cache(lambda: _matrix(scope, moved)),
    }


def _likely(newest: Month | None) -> int:
    return newest.total.churn_high if newest else 0


def _changes(context: dict[str, Any]) -> dict[str, float | None]:
    now, before = context["newest"], context["before"]
    names = ("customers", "deposits_adb", "loans")
    if now is None or before is None:
        return dict.fromkeys(names)
    return {name: dashboards.change(getattr(now.total, name), getattr(before.total, name)) for name in names}


def _scope_urls(scope: Scope) -> dict[str, str]:
    return {
        "all": scope.url(),
        "loans": scope.url(fact_is("loans", "0", ">"), sort="-loans"),
        "overdue": dashboards.overdue_url(scope),
        **{code: scope.url(fact_is("value_tier", code)) for code in VALUE_TIERS.values()},
        "churn": dashboards.churn_url(scope),
        "leavers": dashboards.leavers_url(scope),
        **{f"churn_{code}": dashboards.churn_url(scope, code) for code in VALUE_TIERS.values()},
    }


@require_GET
@allowed("dashboard.branch")
def branch(request: Any, pk: int | None = None) -> HttpResponse:
    """A branch with everything below it."""
    unit = readable_unit(request.actor, pk)
    if unit is None:
        raise Http404
    if unit.parent_id is None and may(request.actor, "dashboard.bank"):
        return redirect("relationship:bank-home")
    scope, day = _scope(request, unit), working_day(request.bank)
    may_decide = may(request.actor, "assignment.approve", unit)
    context = _balances(request, scope, day)
    people: list[Load] = [] if scope.line_kinds is not None else loads(owners_of(unit, day), day)
    managers = [row for row in people if not row.is_teller]
    context |= {
        "branch": unit,
        "day": day,
        "quarter_days": (quarter_end(day) - day).days,
        "changes": _changes(context),
        "managers": [(row, links.list_url(links.of_person(row.staff))) for row in managers[:FULLEST]],
        "more_managers": max(len(managers) - FULLEST, 0),
        "manager_totals": totals(managers),
        "teller_totals": totals(row for row in people if row.is_teller),
        "late_tasks": sum(row.late_tasks for row in people),
        "over_cap": [row for row in managers if row.fill and row.fill.is_over],
        "waiting": in_queue(request.actor, unit).count(),
        "reads_credit": may(request.actor, "credit.read"),
        "urls": _scope_urls(scope),
        "may_bank": may(request.actor, "dashboard.bank"),
        "may_decide": may_decide,
    }
    people_shown = [(row.staff.pk, row.staff.grade, row, url) for row, url in context["managers"]]
    others = ("more_managers", "manager_totals", "teller_totals")
    context["drawn_from"] += repr((people_shown, [context[name] for name in others]))
    return render(request, "relationship/branch.html", context)


@require_GET
@allowed("dashboard.branch")
def branch_risks(request: Any, pk: int) -> HttpResponse:
    """Who is likely to leave a branch and who is overdue: read row by row, so apart from its figures."""
    unit = readable_unit(request.actor, pk)
    if unit is None:
        raise Http404
    scope = _scope(request, unit)
    months, _moved = dashboards.summary(scope)
    newest = months[-1] if months else None
    context = {
        "tier_lines": dashboards.tier_lines(scope, newest) if newest else [],
        "churn_known": churn_known(_likely(newest)),
        "leavers": dashboards.likely_to_leave(scope, request.bank.currency),
        "overdue": dashboards.overdue(scope),
        "urls": _scope_urls(scope),
    }
    return render(request, "relationship/_branch_risks.html", context)


def _heads(currency: str, sort: str) -> list[dict[str, Any]]:
    """Heads of the table of branches: the word, whether it is a figure, how the table is sorted by it (`aria`, `arrow`)
    and what pressing asks for: the highest first, names in the order of the organisation, and the other way round."""
    heads = []
    for name, label, numeric in _columns(currency):
        up, down = name, f"-{name}"
        asked = (up if sort == down else down) if numeric else (down if sort == up else up)
        aria, arrow = {up: ("ascending", "↑"), down: ("descending", "↓")}.get(sort, ("", ""))
        heads.append({"label": label, "numeric": numeric, "sort": asked, "aria": aria, "arrow": arrow})
    return heads


def _columns(currency: str) -> list[tuple[str, str, bool]]:
    """What the table of branches is sorted by, the word, and whether it is a figure."""
    unit = formats.unit_name(formats.SCALES["wan" if formats.is_chinese() else "m"], currency)
    return [
        ("branch", _("Branch"), False),
        ("customers", _("Customers"), True),
        ("high", charts.tier_name(3), True),
        ("mid", charts.tier_name(2), True),
        ("deposits", _("Deposits, %s") % unit, True),
        ("growth", _("Growth"), True),
        ("loans", _("Loans, %s") % unit, True),
        ("loan_growth", _("Growth"), True),
        ("churn", _("Likely to leave"), True),
        ("queue", _("Queue"), True),
        ("overdue", _("Overdue, %s") % unit, True),
    ]


def _to_decide(actor: Actor, day: dt.date) -> dict[str, Any]:
    """The cases that wait for a person who decides, the most urgent with what they weigh."""
    if not may(actor, "credit.decide"):
        return {}
    found = inbox(actor, "todo", day=day, most=HOME_CASES)
    return {"decides": True, "cases": listed(found.rows, day), "case_count": found.count}


@require_GET
@allowed("dashboard.bank")
def bank(request: Any) -> HttpResponse:
    """Headquarters: every branch compared, the bank's trend, and where to look further."""
    head_office = OrgUnit.objects.get(parent__isnull=True)
    scope, day = _scope(request, head_office), working_day(request.bank)
    context = _balances(request, scope, day)
    newest, before = context["newest"], context["before"]
    sort = dashboards.sort_of(request.GET.get("sort", ""))
    lines = dashboards.branch_lines(scope, newest.day, before.day if before else None, sort) if newest else []
    kinds = [
        (code, label)
        for code, label in CustomerKind.choices
        if code in (scope.line_kinds or CustomerKind.values)
    ]
    context |= {
        "branch": head_office,
        **_to_decide(request.actor, day),
        "ratings": ratings_to_decide(request.actor, day).count()
        if may(request.actor, "rating.decide")
        else 0,
        "day": day,
        "quarter_days": (quarter_end(day) - day).days,
        "changes": _changes(context),
        "lines": lines,
        "heads": _heads(request.bank.currency, sort),
        "churn_known": churn_known(_likely(newest)),
        "churn": sum(newest.by_tier[rank].churn_high for rank in (3, 2) if rank in newest.by_tier)
        if newest
        else 0,
        "waiting": sum(line.waiting for line in lines),
        "high": sum(line.high for line in lines),
        "mid": sum(line.mid for line in lines),
        "sort": sort,
        "kind": scope.kind,
        "kinds": kinds,
        "urls": _scope_urls(scope),
        "homeless": next((line for line in lines if line.unit is None), None),
        "drafts": TierPolicy.objects.filter(status=VersionStatus.PROPOSED).count()
        if may(request.actor, "policy.publish")
        else 0,
        "may_audit": may(request.actor, "audit.read"),
        "sees_exposure": may(request.actor, "credit.overview"),
        "models": champions() if may(request.actor, "model.approve") else (),
    }
    return render(request, "relationship/bank.html", context)
