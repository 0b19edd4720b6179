"""The customer list: page, partial, filter editor, saved views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts.selectors import working_day
from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import may
from customers import services
from customers.conditions import ConditionError, from_query, rows_of, sentence, to_query
from customers.forms import FilterForm, FilterRow
from customers.models import SavedView
from customers.selectors import lists
from customers.views.guard import as_of, is_partial, page
from customers.views.listing import (
    COLUMNS,
    COLUMNS_COOKIE,
    chips,
    columns_for,
    has_more_columns,
    list_url,
    pack,
    quick_filters,
    read_query,
    sort_heads,
    tabs,
)
from customers.views.rows import rows_html

YEAR = 365 * 24 * 3600
HUNDRED_MILLION = 100_000_000


@page("customer.read")
@require_GET
def customer_list(request: Any) -> HttpResponse:
    """The list as its address says; htmx gets the table alone."""
    query, problem = read_query(request.actor, request.GET)
    day = as_of(request)
    columns = columns_for(request.actor, request.GET, request.COOKIES)
    cursor = request.GET.get("cursor", "")
    found = lists.customer_list(request.actor, query, as_of=day, cursor=cursor, with_tasks="next" in columns)
    packed, scale = pack(query), list_unit(found.rows)
    address = urlencode({"c": to_query(query.condition), "sort": query.sort})
    context = {
        "query": query,
        "problem": problem,
        "page": found,
        "totals": lists.list_totals(request.actor, query, as_of=day),
        "previous_url": list_url(query, cursor=found.previous) if found.previous else "",
        "next_url": list_url(query, cursor=found.next) if found.next else "",
        "is_first": not found.previous,
        "rows": rows_html(found.rows, columns, scale=scale, today=working_day(request.bank), packed=packed),
        "heads": sort_heads(query),
        "scale": scale,
        "columns": columns,
        "is_wide": has_more_columns(request.actor, columns),
        "column_choices": [(name, label, name in columns) for name, label in COLUMNS.items()],
        "c": to_query(query.condition),
        "list_url": list_url(query),
        "plain_url": reverse("customers:customer-list"),
        "is_plain": query.condition == lists.REAL,
        "is_own": lists.sees_own_alone(request.actor),
        "filter_url": f"{reverse('customers:filter')}?{address}",
        "export_url": f"{reverse('customers:export')}?{address}",
        "may_export": may(request.actor, "customer.export"),
        "may_add": may(request.actor, "customer.write"),
        "tabs": tabs(request.actor, query, as_of=day),
        "chips": chips(query),
        "quick": quick_filters(query),
    }
    template = "customers/_customer_table.html" if is_partial(request) else "customers/customer_list.html"
    response = render(request, template, context)
    if request.GET.get("columns"):
        response.set_cookie(COLUMNS_COOKIE, ".".join(columns), max_age=YEAR, samesite="Lax", httponly=True)
    response.headers["Vary"] = "HX-Request"
    return response


def list_unit(rows: Sequence[lists.CustomerRow]) -> formats.Unit:
    """One unit for all amounts of the page: 万, or in English K until an amount reaches 100 million."""
    if formats.is_chinese():
        return formats.WAN
    amounts = (
        amount for row in rows for amount in (row.deposits_adb, row.deposits_balance, row.loans, row.aum)
    )
    return formats.THOUSAND if max(amounts, default=0) < HUNDRED_MILLION else formats.MILLION


@page("customer.read")
@require_GET
def columns(request: Any) -> HttpResponse:
    """Take the chosen columns and go back to the list."""
    chosen = [name for name in request.GET.getlist("column") if name in COLUMNS]
    query, _problem = read_query(request.actor, request.GET)
    return redirect(list_url(query, columns=".".join(chosen)))


@page("customer.read")
@require_http_methods(["GET", "POST"])
def filter_editor(request: Any) -> HttpResponse:
    """The dialog that edits the filter fact by fact; sending it opens the list."""
    query, _problem = read_query(request.actor, request.POST if request.method == "POST" else request.GET)
    rows = rows_of(query.condition)
    if request.method == "POST":
        form = FilterForm(request.actor, request.POST)
        try:
            condition = form.condition()
            from_query(to_query(condition), actor=request.actor)
            lists.matching(request.actor, condition, as_of=as_of(request))
            return redirect(list_url(lists.CustomerQuery(condition, query.sort)))
        except ConditionError as error:
            form.problem = error.message
    else:
        kept = {} if rows is not None else query.condition
        form = FilterForm(request.actor, rows=rows or [], kept=kept)
    context = {
        "form": form,
        "sort": query.sort,
        "kept": to_query(form.kept),
        "kept_words": form.kept and sentence(form.kept),
    }
    template = "customers/_filter_form.html" if is_partial(request) else "customers/filter_page.html"
    return render(request, template, context, status=422 if form.problem else 200)


@page("customer.read")
@require_GET
def filter_row(request: Any) -> HttpResponse:
    """One row of the filter dialog, for the fact just chosen."""
    key = request.GET.get("key", "")
    row = FilterRow.blank(
        request.actor,
        request.GET.get(f"fact-{key}", ""),
        key,
        prefix=request.GET.get("prefix", ""),
        dated=request.GET.get("dated") == "1",
    )
    return render(request, "customers/_filter_row.html", {"row": row})


@page("customer.read")
@require_POST
def view_save(request: Any) -> HttpResponse:
    """Keep the list as a view of one's own."""
    query, problem = read_query(request.actor, request.POST)
    try:
        if problem:
            raise DomainError(problem)
        view = services.save_view(
            request.actor, name=request.POST.get("name", ""), condition=query.condition, sort=query.sort
        )
        messages.success(request, _("Saved as “%s”.") % view.name)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect(list_url(query))


@page("customer.read")
@require_GET
def view_list(request: Any) -> HttpResponse:
    """One's own views: rename, replace, remove."""
    views = SavedView.objects.filter(staff_id=request.actor.staff_id)
    rows = []
    for view in views:
        try:
            words = sentence(view.condition)
        except ConditionError as error:
            words = error.message
        url = list_url(lists.CustomerQuery(view.condition, lists.clean_sort(view.sort)))
        rows.append({"view": view, "words": words, "url": url})
    return render(request, "customers/view_list.html", {"rows": rows})


@page("customer.read")
@require_POST
def view_change(request: Any, view_id: int) -> HttpResponse:
    """Rename or remove one of one's own views."""
    view = SavedView.objects.filter(staff_id=request.actor.staff_id, pk=view_id).first()
    if view is None:
        raise Http404
    try:
        if "remove" in request.POST:
            services.remove_view(request.actor, view=view)
            messages.success(request, _("Removed “%s”.") % view.name)
        else:
            services.change_view(request.actor, view=view, name=request.POST.get("name", ""))
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("customers:view-list")
