"""Pages of imports: upload, map, try out, import, undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from crm_site.audit.services import record
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import may
from customers.ingest import selectors, uploads
from customers.ingest.feeds import FEEDS
from customers.ingest.forms import UploadForm
from customers.ingest.staging import FIRST_ERRORS
from customers.models.ingest import Batch, BatchStatus
from customers.views.guard import page

PAGE = 50


def get_batch(request: Any, pk: int) -> Batch:
    batch = selectors.imports(request.actor).filter(pk=pk).first()
    if batch is None:
        raise Http404
    return batch


@require_GET
@page("import.upload")
def import_list(request: Any) -> HttpResponse:
    """Uploads and other deliveries, newest first."""
    before = request.GET.get("before", "")
    found = selectors.imports(request.actor).order_by("-id")
    if before.isdigit() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    rows = list(found[: PAGE + 1])
    sender = selectors.senders(rows[:PAGE])
    context = {
        "batches": [(batch, FEEDS[batch.feed].title, sender[batch.pk]) for batch in rows[:PAGE]],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
    }
    return render(request, "customers/import_list.html", context)


@page("import.upload")
def import_new(request: Any) -> HttpResponse:
    """Choose a feed and a file."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            batch = uploads.upload(
                request.actor,
                feed=FEEDS[form.cleaned_data["feed"]],
                file=form.cleaned_data["file"],
                now=timezone.now(),
            )
        except DomainError as error:
            form.add_error("file", error.message)
        else:
            return redirect("customers:import", batch.pk)
    return render(request, "customers/import_new.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@page("import.upload")
def import_detail(request: Any, pk: int) -> HttpResponse:
    """One upload, at whatever stage it is."""
    return show(request, get_batch(request, pk))


def show(
    request: Any, batch: Batch, *, refused: DomainError | None = None, status: int = 200
) -> HttpResponse:
    waits = (
        batch.is_dry_run
        and batch.run_id is None
        and bool(batch.path)
        and batch.status == BatchStatus.RECEIVED
    )
    context = {
        **progress_of(batch),
        "feed": FEEDS[batch.feed],
        "sender": selectors.senders([batch])[batch.pk],
        "refused": refused,
        "in_the_way": getattr(refused, "rows", []),
        "mapping": uploads.choices(batch) if waits else None,
        "errors": selectors.first_errors(batch),
        "kept_errors": FIRST_ERRORS if selectors.is_cut(batch) else 0,
        "may_map_again": uploads.is_tried(batch),
        "may_see_customers": may(request.actor, "customer.read"),
        "may_import": batch.is_dry_run and batch.status == BatchStatus.DONE and bool(batch.path),
        "may_undo": batch.source == "upload"
        and not batch.is_dry_run
        and batch.status == BatchStatus.DONE
        and may(request.actor, "import.undo"),
    }
    return render(request, "customers/import_detail.html", context, status=status)


def progress_of(batch: Batch) -> dict[str, Any]:
    """What the progress partial needs; the page is loaded anew when the work is done."""
    under_way = batch.status in (BatchStatus.RECEIVED, BatchStatus.RUNNING) and batch.run_id is not None
    return {
        "batch": batch,
        "under_way": under_way,
        "percent": int(selectors.share_landed(batch) * 100) if under_way else 100,
    }


@require_POST
@page("import.upload")
def import_try(request: Any, pk: int) -> HttpResponse:
    """Take the mapping and try the file out."""
    batch = get_batch(request, pk)
    headers, columns = request.POST.getlist("header"), request.POST.getlist("column")
    try:
        uploads.try_out(request.actor, batch_id=batch.pk, mapping=dict(zip(headers, columns, strict=False)))
    except DomainError as error:
        batch.mapping = dict(zip(headers, columns, strict=False))
        return show(request, batch, refused=error, status=error.status)
    return redirect("customers:import", batch.pk)


def _passed_on(request: Any, pk: int, act: Callable[..., Batch]) -> HttpResponse:
    """To the new batch that an act makes of this one, or its page with what was wrong."""
    batch = get_batch(request, pk)
    try:
        made = act(request.actor, batch_id=batch.pk, now=timezone.now())
    except DomainError as error:
        return show(request, batch, refused=error, status=error.status)
    return redirect("customers:import", made.pk)


@require_POST
@page("import.upload")
def import_again(request: Any, pk: int) -> HttpResponse:
    """Back to the mapping of a file that was tried out."""
    return _passed_on(request, pk, uploads.map_again)


@require_POST
@page("import.upload")
def import_run(request: Any, pk: int) -> HttpResponse:
    """Import what was tried out."""
    return _passed_on(request, pk, uploads.import_tried)


@require_GET
@page("import.upload")
def import_progress(request: Any, pk: int) -> HttpResponse:
    """The progress partial, asked for every two seconds; done: the page is loaded anew."""
    context = progress_of(get_batch(request, pk))
    response = render(request, "customers/_import_progress.html", context)
    if not context["under_way"]:
        response.headers["HX-Refresh"] = "true"
    return response


@require_GET
@page("import.upload")
def import_errors(request: Any, pk: int) -> Any:
    """The rejected rows as CSV, with the row's own cells in full: written to the record first."""
    batch = get_batch(request, pk)
    record(request.actor, "export", "customers_batch", key=batch.pk, changes={"rows": batch.rows_rejected})
    response = StreamingHttpResponse(selectors.rejected_csv(batch), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="import-{batch.pk}-errors.csv"'
    return response


@require_POST
@page("import.undo")
def import_undo(request: Any, pk: int) -> HttpResponse:
    """Take an import back, or say which rows stand in the way."""
    batch = get_batch(request, pk)
    try:
        uploads.undo_import(request.actor, batch_id=batch.pk, now=timezone.now())
    except DomainError as error:
        return show(request, batch, refused=error, status=error.status)
    messages.success(request, _("The import was undone."))
    return redirect("customers:import", batch.pk)
