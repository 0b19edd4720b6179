"""Development samples: uploaded or made of the bank's own outcomes, and the cards that are developed from them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from credit_rating.forms_samples import (
    DevelopmentForm,
    OutcomesForm,
    PurposeForm,
    SampleUploadForm,
    TargetForm,
)
from credit_rating.models import CreditKind, Development, DevelopmentSample
from credit_rating.models.samples import USE_OUTCOMES
from credit_rating.selectors import samples as selectors
from credit_rating.selectors.outcomes import outcomes_known
from credit_rating.services import samples as services
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may


def _sample(request: Any, sample_id: int) -> DevelopmentSample:
    found = selectors.samples(request.actor).filter(pk=sample_id).first()
    if found is None:
        raise Http404
    return found


@allowed("scorecard.develop")
@require_GET
def sample_list(request: Any) -> HttpResponse:
    """Samples, and what was developed from them, newest first."""
    return _list_page(request, OutcomesForm(today=bank_today(request.bank)), 200)


def _list_page(request: Any, form: OutcomesForm, status: int) -> HttpResponse:
    today = bank_today(request.bank)
    context = {
        "samples": [
            (found, selectors.work_of(found)) for found in selectors.samples(request.actor)[: selectors.PAGE]
        ],
        "developments": [
            (found, selectors.work_of(found))
            for found in selectors.developments(request.actor)[: selectors.PAGE]
        ],
        "outcomes": outcomes_known(request.actor, today) if may(request.actor, USE_OUTCOMES) else None,
        "form": form,
    }
    return render(request, "credit_rating/sample_list.html", context, status=status)


@allowed("scorecard.develop")
@require_http_methods(["GET", "POST"])
def sample_new(request: Any) -> HttpResponse:
    """Upload a file."""
    form = SampleUploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            found = services.upload_sample(
                request.actor, file=given["file"], has_header=given["has_header"], now=timezone.now()
            )
            return redirect("credit_rating:sample", found.pk)
        except DomainError as error:
            form.refuse(error)
    status = 422 if form.errors else 200
    return render(request, "credit_rating/sample_new.html", {"form": form}, status=status)


@allowed("outcome.use")
@require_POST
def sample_outcomes(request: Any) -> HttpResponse:
    """Have a sample made of the bank's own loans."""
    today = bank_today(request.bank)
    form = OutcomesForm(request.POST, today=today)
    if form.is_valid():
        try:
            found = services.sample_of_outcomes(
                request.actor, as_of=form.cleaned_data["as_of"], today=today, now=timezone.now()
            )
            return redirect("credit_rating:sample", found.pk)
        except DomainError as error:
            form.refuse(error)
    return _list_page(request, form, 422)


@allowed("scorecard.develop")
@require_GET
def sample(request: Any, sample_id: int) -> HttpResponse:
    """A sample: how far its reading is, then its columns and what may be done with it."""
    return _sample_page(request, _sample(request, sample_id), PurposeForm(), 200)


def _sample_page(request: Any, found: DevelopmentSample, purpose: PurposeForm, status: int) -> HttpResponse:
    targets = selectors.outcome_columns(found.columns)
    context = {
        "sample": found,
        "work": selectors.work_of(found),
        "columns": selectors.column_rows(found.columns, found.rows),
        "target_form": TargetForm(targets=targets) if targets else None,
        "purpose_form": purpose,
        "developments": [
            (one, selectors.work_of(one))
            for one in selectors.developments(request.actor).filter(sample=found)
        ],
    }
    return render(request, "credit_rating/sample.html", context, status=status)


@allowed("scorecard.develop")
@require_http_methods(["GET", "POST"])
def sample_develop(request: Any, sample_id: int) -> HttpResponse:
    """Say how a card is to be developed, and order it."""
    found = _sample(request, sample_id)
    chosen = TargetForm(request.GET, targets=selectors.outcome_columns(found.columns))
    if not found.is_ready or not chosen.is_valid():
        return redirect("credit_rating:sample", found.pk)
    form = DevelopmentForm(
        request.POST or None,
        columns=found.columns,
        window=selectors.window_of(found),
        bad=selectors.usual_bad(found),
        **chosen.cleaned_data,
    )
    if request.method == "POST" and form.is_valid():
        try:
            ordered = services.order_development(
                request.actor, sample_id=found.pk, order=form.order(), now=timezone.now()
            )
            return redirect("credit_rating:development", ordered.pk)
        except DomainError as error:
            form.refuse(error)
    context = {"sample": found, "form": form, "kind_label": CreditKind(form.kind).label}
    status = 422 if form.errors or form.beside else 200
    return render(request, "credit_rating/sample_develop.html", context, status=status)


@allowed("scorecard.develop")
@require_POST
def sample_download(request: Any, sample_id: int) -> Any:
    """Put the download on the record and send the file."""
    found, form = _sample(request, sample_id), PurposeForm(request.POST)
    if form.is_valid():
        try:
            sent, path = services.export_sample(
                request.actor, sample_id=found.pk, purpose=form.cleaned_data["purpose"], now=timezone.now()
            )
        except DomainError as error:
            form.refuse(error)
        else:
            response = FileResponse(
                path.open("rb"),
                as_attachment=True,
                filename=sent.name,
                content_type="application/octet-stream",
            )
            response.headers["Cache-Control"] = "no-store"
            return response
    return _sample_page(request, found, form, 422)


@allowed("scorecard.develop")
@require_POST
def sample_delete(request: Any, sample_id: int) -> HttpResponse:
    """Delete the file; what is known of it stays."""
    found = _sample(request, sample_id)
    try:
        services.delete_sample_file(request.actor, sample_id=found.pk)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The file has been deleted."))
    return redirect("credit_rating:sample", found.pk)


@allowed("scorecard.develop")
@require_GET
def sample_progress(request: Any, sample_id: int) -> HttpResponse:
    """The progress alone, asked for every two seconds; when it is over the page is loaded anew."""
    return _progress(request, _sample(request, sample_id))


@allowed("scorecard.develop")
@require_GET
def development(request: Any, development_id: int) -> HttpResponse:
    """How far a development is, or why it failed; once there is a draft, its page."""
    found = _development(request, development_id)
    if found.scorecard_id is not None:
        return redirect("credit_rating:scorecard", found.scorecard_id)
    context = {"development": found, "work": selectors.work_of(found)}
    return render(request, "credit_rating/development.html", context)


@allowed("scorecard.develop")
@require_GET
def development_progress(request: Any, development_id: int) -> HttpResponse:
    """The progress alone, as for samples."""
    return _progress(request, _development(request, development_id))


def _development(request: Any, development_id: int) -> Development:
    found = selectors.developments(request.actor).filter(pk=development_id).first()
    if found is None:
        raise Http404
    return found


def _progress(request: Any, thing: DevelopmentSample | Development) -> HttpResponse:
    work = selectors.work_of(thing)
    response = render(request, "credit_rating/_job_progress.html", {"work": work, "url": request.path})
    if not work.under_way:
        response.headers["HX-Refresh"] = "true"
    return response
