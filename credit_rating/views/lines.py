"""Credit lines: the list, one line with its ledger and life, what staff do to it, its print, and the customer's panel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from credit_rating.forms import LineActForm, LineFilterForm
from credit_rating.models import CreditLine, LineStatus
from credit_rating.selectors import lines
from credit_rating.selectors.cases import open_conditions
from credit_rating.services import lines as services
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.formats import column_unit
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.models import Customer

TONES = {"pending": "", "active": "tag-ok", "frozen": "tag-watch", "expired": "tag-risk", "closed": ""}
BAND_LABELS = {
    "unused": gettext_lazy("not used"),
    "low": gettext_lazy("below 50%"),
    "mid": gettext_lazy("50% to 90%"),
    "high": gettext_lazy("90% and more"),
}
# What may be done to a line as it stands.
ACTS = {
    LineStatus.PENDING: ("activate", "lower", "close"),
    LineStatus.ACTIVE: ("freeze", "review", "lower", "close"),
    LineStatus.FROZEN: ("unfreeze", "review", "lower", "close"),
    LineStatus.EXPIRED: ("close",),
    LineStatus.CLOSED: (),
}
DONE = {
    "activate": gettext_lazy("The line may be drawn on now."),
    "effect": gettext_lazy("The approved change is in effect."),
    "freeze": gettext_lazy("The line is frozen."),
    "unfreeze": gettext_lazy("The line is free again."),
    "review": gettext_lazy("The review is recorded."),
    "lower": gettext_lazy("The limit is lowered."),
    "close": gettext_lazy("The line is closed."),
}


def _partial(request: Any) -> bool:
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


@allowed("credit.read")
@require_GET
def line_list(request: Any) -> HttpResponse:
    """The lines that the person sees, filtered as the address says; htmx gets the table alone."""
    day = bank_today(request.bank)
    form = LineFilterForm(request.actor, request.GET)
    query = form.query()
    after = request.GET.get("after", "")
    found = lines.line_page(request.actor, query, day=day, after=after)
    # The lines are added up for them: once, on the first page.
    totals = [] if after else lines.line_totals(request.actor, query, day=day)
    context = {
        "form": form,
        "rows": _rows(found.rows, day),
        "scale": column_unit([line.limit for line in found.rows]),
        "home_currency": request.bank.currency,
        "totals": totals or [],
        "most_summed": lines.MOST_SUMMED if totals is None else 0,
        "count": sum(total.count for total in totals or []),
        "filters": form.menus(BAND_LABELS),
        "next_url": form.url(after=found.following) if found.following else "",
        "plain_url": form.url_of({}),
        "is_first": not after,
        "first_url": form.url(),
    }
    template = "credit_rating/_line_table.html" if _partial(request) else "credit_rating/line_list.html"
    return render(request, template, context)


def _rows(found: Iterable[CreditLine], day: dt.date) -> list[dict[str, Any]]:
    """Lines as a page draws them: their status today, its tone, and whether the policy calls their use high."""
    warn = lines.control_policy(day).params["warn_pct"]
    return [
        {"line": line, "status": line.status_on(day), "tone": TONES[line.status_on(day)],
         "is_high": line.use_share >= warn}
        for line in found
    ]  # fmt: skip


def _line(request: Any, line_id: int) -> CreditLine:
    try:
        return lines.seen_line(request.actor, line_id)
    except CreditLine.DoesNotExist:
        raise Http404 from None


@allowed("credit.read")
@require_GET
def line(request: Any, line_id: int) -> HttpResponse:
    """How it stands, what moved, what happened to it, and what may be done."""
    return _page(request, _line(request, line_id), LineActForm(), 200)


def _page(request: Any, found: CreditLine, form: LineActForm, status: int) -> HttpResponse:
    before = request.GET.get("before", "")
    entries, older = lines.ledger(found, int(before) if before.isascii() and before.isdigit() else None)
    manages = may(request.actor, services.MANAGE)
    approval = found.waiting_case_id or (found.case_id if found.status == LineStatus.PENDING else None)
    open_ones = open_conditions(approval) if approval else 0
    context = {
        **_figures(request, found),
        "entries": entries,
        "older_url": f"?{urlencode({'before': older})}" if older else "",
        "is_newest": not before,
        "form": form,
        "open_conditions": open_ones,
        "acts": [act for act in _acts(found) if act not in ("activate", "effect") or not open_ones]
        if manages
        else (),
    }
    return render(request, "credit_rating/line.html", context, status=status)


def _acts(found: CreditLine) -> tuple[str, ...]:
    acts = ACTS[LineStatus(found.status)]
    return acts if found.waiting_case_id is None else ("effect", *acts)


def _figures(request: Any, found: CreditLine) -> dict[str, Any]:
    day = bank_today(request.bank)
    reservations, count = lines.open_reservations(found)
    return {
        **_rows([found], day)[0],
        "customer": found.customer,
        "subs": [(sub, min(sub.available, found.available)) for sub in lines.sub_limits(found)],
        "reservations": reservations,
        "reservation_count": count,
        "events": lines.life(found),
        "days_left": (found.expires_on - day).days,
    }


@allowed("line.manage")
@require_POST
def line_act(request: Any, line_id: int) -> HttpResponse:
    """Activate, freeze, free, review, lower or close, with its reason."""
    found, form = _line(request, line_id), LineActForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, 422)
    try:
        act = form.cleaned_data["act"]
        _act(request, act)(reason=form.cleaned_data["reason"], line_id=line_id, **_more(form, request))
    except DomainError as error:
        known = [field for field in error.fields if field in form.fields]
        form.add_error(known[0] if known else None, error.message)
        return _page(request, _line(request, line_id), form, error.status)
    messages.success(request, DONE[act])
    return redirect("credit_rating:line", line_id)


def _act(request: Any, act: str) -> Callable[..., object]:
    doing: dict[str, Callable[..., object]] = {
        "activate": services.activate_line,
        "effect": services.effect_change,
        "freeze": services.freeze_line,
        "unfreeze": services.unfreeze_line,
        "review": services.record_review,
        "lower": services.lower_limit,
        "close": services.close_line,
    }
    return lambda **given: doing[act](request.actor, now=timezone.now(), **given)


def _more(form: LineActForm, request: Any) -> dict[str, Any]:
    if form.cleaned_data["act"] == "lower":
        return {"limit": form.cleaned_data["limit"]}
    return {"today": bank_today(request.bank)} if form.cleaned_data["act"] == "review" else {}


@allowed("credit.read")
@require_GET
def line_print(request: Any, line_id: int) -> HttpResponse:
    """The line on paper: its figures, its life and its latest movements."""
    found = _line(request, line_id)
    context = {
        **_figures(request, found),
        "entries": lines.ledger(found)[0],
        "form_name": _("Credit line"),
        "form_number": found.number,
        "printed_by": request.actor.label,
        "printed_at": timezone.now(),
    }
    return render(request, "credit_rating/line_print.html", context)


@allowed("credit.read")
@require_GET
def line_panel(request: Any, customer_id: int) -> HttpResponse:
    """The customer's lines, on the customer's page."""
    customer = get_object_or_404(Customer.objects.visible_to(request.actor), pk=customer_id)
    day = bank_today(request.bank)
    rows = _rows(lines.lines_of(request.actor, customer_id), day)
    context = {"customer": customer, "rows": rows}
    template = "credit_rating/_line_panel.html" if _partial(request) else "customers/panel_page.html"
    return render(request, template, context | {"panel_template": "credit_rating/_line_panel.html"})
