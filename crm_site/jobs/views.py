"""Runs of the bank: who started what when, how far it is, what went wrong, once more."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from crm_site.accounts.selectors import bank_today
from crm_site.jobs import selectors, services
from crm_site.jobs.forms import StartForm
from crm_site.jobs.models import Run
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may


def _run(request: Any, pk: int) -> Run:
    run = selectors.recent_runs(request.actor).filter(pk=pk).first()
    if run is None:
        raise Http404
    return run


@require_GET
@allowed("job.read")
def run_list(request: Any) -> HttpResponse:
    context = selectors.run_page(request.actor, request.GET.get("before", ""))
    if request.htmx and not request.htmx.boosted:
        return render(request, "jobs/_run_table.html", context)
    return render(request, "jobs/run_list.html", {**context, "form": _start_form(request)})


def _start_form(request: Any) -> StartForm | None:
    """For those who may start a run; it proposes the date that is next."""
    if not may(request.actor, "job.run"):
        return None
    following = services.next_business_date() or bank_today(request.bank)
    return StartForm(today=bank_today(request.bank), initial={"business_date": following})


@require_POST
@allowed("job.run")
def run_start(request: Any) -> HttpResponse:
    form = StartForm(request.POST, today=bank_today(request.bank))
    try:
        if form.is_valid():
            with transaction.atomic():
                run = services.start_run(request.actor, pipeline=services.NIGHTLY, **form.cleaned_data)
            return redirect("jobs:run-detail", run.pk)
    except DomainError as error:
        form.add_error(None, error.message)
    context = {**selectors.run_page(request.actor, ""), "form": form}
    return render(request, "jobs/run_list.html", context, status=422)


@require_GET
@allowed("job.read")
def run_detail(request: Any, pk: int) -> HttpResponse:
    run = _run(request, pk)
    context = {**selectors.run_state(run), "may_run": may(request.actor, "job.run")}
    partial = request.htmx and not request.htmx.boosted
    return render(request, "jobs/_run_state.html" if partial else "jobs/run_detail.html", context)


@require_POST
@allowed("job.run")
def run_retry(request: Any, pk: int) -> HttpResponse:
    run = _run(request, pk)
    try:
        with transaction.atomic():
            services.retry_run(request.actor, run_id=run.pk)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The run goes on from where it stopped."))
    return redirect("jobs:run-detail", run.pk)


@require_POST
@allowed("job.run")
def run_cancel(request: Any, pk: int) -> HttpResponse:
    run = _run(request, pk)
    try:
        with transaction.atomic():
            run = services.cancel_run(request.actor, run_id=run.pk)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        stopped = (
            _("The run is cancelled.") if run.is_finished else _("The run stops after the part in hand.")
        )
        messages.success(request, stopped)
    return redirect("jobs:run-detail", run.pk)


@require_GET
@allowed("job.read")
def step_chunks(request: Any, pk: int, step_name: str) -> HttpResponse:
    run = _run(request, pk)
    step = run.steps.filter(name=step_name).first()
    if step is None:
        raise Http404
    context = {
        "run": run,
        "step": step,
        "label": selectors.step_label(run, step_name),
        "chunks": selectors.unfinished_chunks(run, step_name),
    }
    partial = request.htmx and not request.htmx.boosted
    return render(request, "jobs/_chunks.html" if partial else "jobs/step_chunks.html", context)
