"""Exports of the list, and the page that shows who exported what."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import may
from customers import services
from customers.conditions import sentence, to_query
from customers.forms import ExportForm
from customers.selectors import lists
from customers.selectors.exports import export_records
from customers.views.guard import as_of, page
from customers.views.listing import list_url, read_query

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def _chosen(values: list[str]) -> list[int]:
    return [int(value) for value in values if value.isdecimal() and len(value) < 19][:500]


def _ask(request: Any, given: Any, selected: list[int], form: ExportForm, status: int = 200) -> HttpResponse:
    query, problem = read_query(request.actor, given)
    context = {
        "form": form,
        "selected": selected,
        "c": to_query(query.condition),
        "sort": query.sort,
        "words": sentence(query.condition),
        "problem": problem,
        "totals": lists.list_totals(request.actor, query, as_of=as_of(request)),
        "list_url": list_url(query),
    }
    return render(request, "customers/export_page.html", context, status=status)


@page("customer.export")
@require_GET
def export(request: Any) -> HttpResponse:
    """Ask what an export of the whole list is for."""
    return _ask(request, request.GET, [], ExportForm())


@page("customer.export")
@require_POST
def export_selected(request: Any) -> HttpResponse:
    """Ask what an export of the selected customers is for."""
    return _ask(request, request.POST, _chosen(request.POST.getlist("selected")), ExportForm())


@page("customer.export")
@require_POST
def export_run(request: Any) -> Any:
    """Put the export on the record and stream it, inside the bank and masked."""
    form, selected = ExportForm(request.POST), _chosen(request.POST.getlist("selected"))
    query, problem = read_query(request.actor, request.POST)
    if problem:
        form.add_error(None, problem)
    if not form.is_valid():
        return _ask(request, request.POST, selected, form, 422)
    is_workbook = form.cleaned_data["format"] == "xlsx"
    try:
        found = services.export_customers(
            request.actor, query=query, selected=selected, purpose=form.cleaned_data["purpose"],
            is_workbook=is_workbook, as_of=as_of(request), now=timezone.now(),
        )  # fmt: skip
    except DomainError as error:
        form.refuse(error)
        return _ask(request, request.POST, selected, form, 422)
    name = f"customers-{as_of(request):%Y%m%d}-{found.record_id}"
    if is_workbook:
        file = services.workbook(found.lines, _("Customers"))
        return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx", content_type=XLSX)
    response = StreamingHttpResponse(services.csv_chunks(found.lines), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


@page("customer.read")
@require_GET
def export_log(request: Any) -> HttpResponse:
    """Exports on the record: all of them for an auditor, one's own for everybody else."""
    cursor = request.GET.get("before", "")
    before = int(cursor) if cursor.isdecimal() and len(cursor) < 19 else None
    rows, older = export_records(request.actor, before=before)
    context = {"rows": rows, "older": older, "is_all": may(request.actor, "audit.read")}
    return render(request, "customers/export_log.html", context)
