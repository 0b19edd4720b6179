"""One customer: its page, its panels, its print view."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET

from crm_site.accounts.selectors import working_day
from crm_site.lib import formats
from crm_site.lib.permissions import Actor, may
from crm_site.lib.registry import PANELS
from crm_site.work.selectors import task_lines
from customers import services, timeline
from customers.forms import ProfileForm
from customers.models import Customer, Standing
from customers.models.parties import crm_owned
from customers.selectors import lists, single
from customers.selectors.people import people_of
from customers.selectors.timeline import open_promises
from customers.view_parts import badges_of
from customers.views.drawings import trend_chart
from customers.views.guard import as_of, get_customer, is_partial, page
from customers.views.listing import list_url, unpack

log = logging.getLogger("banyan.customers")
SOON_DAYS = 14  # the page's head names a task that is due by then
TABS = {
    "overview": gettext_lazy("Overview"),
    "business": pgettext_lazy("view", "Business"),
    "service": gettext_lazy("Service"),
    "information": gettext_lazy("Information"),
}


MOST_BADGES = 4


def _badges(actor: Actor, header: single.CustomerHeader) -> dict[str, Any]:
    """Which badges stand beside the name: at most four, what warns before what flatters."""
    found, more = header.customer, badges_of(actor, header.customer.pk)
    there = {
        "tier": bool(header.value_tier),
        "excluded": found.is_excluded,
        "more": bool(more),
        "status": found.status != "active",
        "related": found.is_related_party,
        "prospect": found.is_prospect,
        "wealth": header.wealth_level not in ("", "standard"),
    }
    names = [name for name, holds in there.items() if holds]
    return {"badges": names[:MOST_BADGES], "more_badges": more}


@page("customer.read")
@require_GET
def customer(request: Any, customer_id: int) -> HttpResponse:
    """The customer's page: head, key figures and the panels of one tab, which load themselves."""
    day, actor = as_of(request), request.actor
    try:
        header = single.customer_header(actor, customer_id)
    except Standing.DoesNotExist:
        raise Http404 from None
    packed = request.GET.get("list", "")
    query = unpack(actor, packed)
    before, after = lists.neighbours(actor, query, header.standing, as_of=day) if query else (None, None)
    tab = request.GET.get("tab", "overview")
    context = {
        "header": header,
        "customer": header.customer,
        "standing": header.standing,
        "figures_of": figures_of(header.standing, day),
        "tabs": TABS,
        "tab": tab if tab in TABS else "overview",
        "panels": panels_of(actor, tab if tab in TABS else "overview", header.customer),
        "quick_panels": quick_panels(actor, customer_id),
        "counts": single.tab_counts(actor, header.customer, as_of=day),
        "maturity": single.next_maturity(actor, header.customer, as_of=day),
        "tasks": lists.next_things(actor, [customer_id], until=day + dt.timedelta(days=SOON_DAYS)).get(
            customer_id
        ),
        "list": packed if query else "",
        "list_url": list_url(query) if query else "",
        "before": before,
        "after": after,
        **_badges(actor, header),
        "why_url": why_url("segmentation:tier-why", customer_id),
        "churn_url": why_url("segmentation:churn-why", customer_id),
        "may_write": may(actor, "customer.write"),
        "may_log": may(actor, "interaction.write"),
        "may_task": may(actor, "task.write"),
        "may_reveal": may(actor, "customer.reveal"),
    }
    return render(request, "customers/customer.html", context)


def figures_of(standing: Standing, day: dt.date) -> dt.date | None:
    """Until when a customer's figures hold: the business date, whenever they last changed; None before any."""
    return day if standing.as_of else None


def why_url(name: str, customer_id: int) -> str:
    """Where the reason of a tier or a score is told, when a room above tells it."""
    try:
        return reverse(name, args=[customer_id])
    except NoReverseMatch:
        return ""


def quick_panels(actor: Actor, customer_id: int) -> list[dict[str, Any]]:
    """Panels that the phone opens from the page's head."""
    return [
        {"title": panel.title, "icon": panel.quick, "url": reverse(panel.url_name, args=[customer_id])}
        for panel in sorted(PANELS, key=lambda panel: panel.order)
        if panel.quick and may(actor, panel.permission)
    ]


def panels_of(actor: Actor, tab: str, customer: Customer) -> dict[str, list[dict[str, Any]]]:
    """The panels of a tab for a customer of its kind that the actor may see, for the wide column and the narrow one."""
    found: dict[str, list[dict[str, Any]]] = {"main": [], "aside": []}
    for panel in sorted(PANELS, key=lambda panel: panel.order):
        if panel.tab != tab or not may(actor, panel.permission):
            continue
        if panel.kinds and customer.kind not in panel.kinds:
            continue
        try:
            url = reverse(panel.url_name, args=[customer.pk])
        except NoReverseMatch:  # a room announces a panel that it does not serve: the page stands without it
            log.warning("panel without an address", extra={"fields": {"panel": panel.name}})
            continue
        found["aside" if panel.aside else "main"].append(
            {"title": panel.title, "url": url, "wide": panel.wide}
        )
    return found


def show(request: Any, template: str, context: dict[str, Any]) -> HttpResponse:
    """A panel alone for htmx; within a plain page when its address is opened by itself."""
    if is_partial(request):
        return render(request, template, context)
    return render(request, "customers/panel_page.html", {**context, "panel_template": template})


@page("customer.read")
@require_GET
def trend(request: Any, customer_id: int) -> HttpResponse:
    """Deposits and loans over 13 months."""
    customer = get_customer(request, customer_id)
    points = single.balance_trend(request.actor, customer, as_of=as_of(request))
    return show(request, "customers/_panel_trend.html", {"customer": customer, "chart": trend_chart(points)})


@page("customer.read")
@require_GET
def accounts(request: Any, customer_id: int) -> HttpResponse:
    """Accounts held, joint ones marked, with balances of the business date."""
    customer, day = get_customer(request, customer_id), as_of(request)
    held = single.accounts_held(request.actor, customer, as_of=day, currency=request.bank.currency)
    context = {
        "customer": customer,
        "open": [row for row in held if row.is_open],
        "closed": [row for row in held if not row.is_open],
        "has_foreign": any(
            row.value is not None and row.account.currency != request.bank.currency for row in held
        ),
        "total": sum((row.value for row in held if row.value is not None), start=0),
        "day": day,
    }
    return show(request, "customers/_panel_accounts.html", context)


@page("customer.read")
@require_GET
def loans(request: Any, customer_id: int) -> HttpResponse:
    """Loans with arrears and the next instalment."""
    customer = get_customer(request, customer_id)
    rows = single.loans_of(request.actor, customer, as_of=as_of(request))
    return show(request, "customers/_panel_loans.html", {"customer": customer, "rows": rows})


@page("customer.read")
@require_GET
def products(request: Any, customer_id: int) -> HttpResponse:
    """Wealth holdings, cards, standing orders."""
    customer = get_customer(request, customer_id)
    found = single.other_products(request.actor, customer, as_of=as_of(request))
    return show(request, "customers/_panel_products.html", {"customer": customer, "found": found})


@page("customer.read")
@require_GET
def entries(request: Any, customer_id: int) -> HttpResponse:
    """Account entries, newest first, paged by key."""
    customer = get_customer(request, customer_id)
    cursor = request.GET.get("cursor", "")
    found = single.entries_of(request.actor, customer, cursor=cursor)
    context = {"customer": customer, "page": found, "is_more": bool(cursor)}
    template = (
        "customers/_entry_rows.html" if cursor and is_partial(request) else "customers/_panel_entries.html"
    )
    return show(request, template, context)


@page("customer.read")
@require_GET
def timeline_panel(request: Any, customer_id: int) -> HttpResponse:
    """Everything that happened, over all views, newest first."""
    customer = get_customer(request, customer_id)
    try:
        asked = parse_datetime(request.GET.get("before", ""))
    except ValueError:
        asked = None
    if asked is not None and timezone.is_naive(asked):
        asked = timezone.make_aware(asked)
    view = request.GET.get("view", "")
    before = asked or timezone.now() + dt.timedelta(days=1)
    moments, older = timeline.timeline(request.actor, customer, before=before, view=view)
    context = {"customer": customer, "moments": moments, "older": older, "view": view, "views": TABS}
    is_more = asked is not None and is_partial(request)
    template = "customers/_timeline_rows.html" if is_more else "customers/_panel_timeline.html"
    return show(request, template, context)


@page("customer.read")
@require_GET
def contacts(request: Any, customer_id: int) -> HttpResponse:
    """Contacts on every channel, newest first; the author may correct a recent one."""
    customer = get_customer(request, customer_id)
    found = single.contacts_of(request.actor, customer, before=_contact_key(request.GET.get("cursor", "")))
    shown = found[: single.ENTRIES]
    now = timezone.now()
    waiting = open_promises(shown)
    rows = [(row, services.may_correct(request.actor, row, now), row.pk in waiting) for row in shown]
    more = len(found) > len(shown)
    context = {
        "customer": customer,
        "rows": rows,
        "next": f"{shown[-1].at.timestamp():.6f}.{shown[-1].pk}" if more else "",
        "may_log": may(request.actor, "interaction.write"),
    }
    is_more = bool(request.GET.get("cursor")) and is_partial(request)
    return show(
        request, "customers/_contact_rows.html" if is_more else "customers/_panel_contacts.html", context
    )


def _contact_key(cursor: str) -> tuple[dt.datetime, int] | None:
    try:
        seconds, pk = cursor.rsplit(".", 1)
        return dt.datetime.fromtimestamp(float(seconds), tz=dt.UTC), int(pk)
    except (ValueError, OverflowError, OSError):
        return None


@page("customer.read")
@require_GET
def tasks(request: Any, customer_id: int) -> HttpResponse:
    """Open tasks about the customer."""
    customer = get_customer(request, customer_id)
    tasks, may_task = single.open_tasks(request.actor, customer), may(request.actor, "task.write")
    rows = task_lines(request.actor, tasks, working_day(request.bank))
    if not may_task:
        rows = [row | {"may_act": False} for row in rows]
    context = {"customer": customer, "rows": rows, "may_task": may_task}
    return show(request, "customers/_panel_tasks.html", context)


@page("customer.read")
@require_GET
def profile(request: Any, customer_id: int) -> HttpResponse:
    """What the core says of the customer (read only) and what people keep of it."""
    customer = get_customer(request, customer_id)
    context = {
        "customer": customer,
        "addresses": single.addresses_of(request.actor, customer),
        "kept": [
            (ProfileForm.base_fields[name].label, _kept(customer, name)) for name in crm_owned(customer.kind)
        ],
        "may_write": may(request.actor, "customer.write"),
    }
    return show(request, "customers/_panel_profile.html", context)


def _kept(customer: Customer, name: str) -> str:
    value = getattr(customer, name)
    return dict(settings.LANGUAGES).get(value, value) if name == "contact_language" else value


@page("customer.read")
@require_GET
def identity(request: Any, customer_id: int) -> HttpResponse:
    """Identifiers, phones and e-mails, masked."""
    try:
        header = single.customer_header(request.actor, customer_id)
    except Standing.DoesNotExist:
        raise Http404 from None
    context = {
        "header": header,
        "customer": header.customer,
        "may_reveal": may(request.actor, "customer.reveal"),
    }
    return show(request, "customers/_panel_identity.html", context)


@page("customer.read")
@require_GET
def completeness(request: Any, customer_id: int) -> HttpResponse:
    """What the bank should know of the customer and does not."""
    customer = get_customer(request, customer_id)
    found = single.completeness(request.actor, customer)
    context = {"customer": customer, "found": found, "may_write": may(request.actor, "customer.write")}
    return show(request, "customers/_panel_completeness.html", context)


@page("customer.read")
@require_GET
def print_view(request: Any, customer_id: int) -> HttpResponse:
    """The single view on paper."""
    day = as_of(request)
    try:
        view = single.customer_view(request.actor, customer_id, as_of=day, currency=request.bank.currency)
    except Standing.DoesNotExist:
        raise Http404 from None
    found = single.contacts_of(request.actor, view.header.customer, size=10)
    context = {
        "view": view,
        "header": view.header,
        "customer": view.header.customer,
        "standing": view.header.standing,
        "contacts": found[:10],
        "people": people_of(request.actor, view.header.customer, day=day),
        "form_name": _("Customer sheet"),
        "form_number": view.header.customer.number,
        "printed_by": request.user.name,
        "printed_at": timezone.now(),
        "as_of_line": _("Figures as of %s") % formats.day(figures_of(view.header.standing, day)),
    }
    return render(request, "customers/customer_print.html", context)
