"""The branch's queue: see, choose another, approve, refuse."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from crm_site.accounts.models import OrgUnit
from crm_site.accounts.selectors import working_day
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from relationship import services
from relationship.forms import DecisionForm
from relationship.models import Rule
from relationship.selectors.loads import loads, owners_of
from relationship.selectors.queue import FILTERS, NOBODY, QueueHead, in_queue, queue_head, queue_page
from relationship.selectors.units import readable_unit


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() and len(text) < 19 else None


def _unit(request: Any, source: Any) -> OrgUnit:
    unit = readable_unit(request.actor, _number(source.get("unit")))
    if unit is None:
        raise Http404
    return unit


def _filter(text: str | None) -> str:
    return text if text in (*FILTERS, NOBODY) else ""


def _chips(head: QueueHead) -> list[tuple[str, Any, int]]:
    chips: list[tuple[str, Any, int]] = [
        (code, Rule(code).label, head.by_rule.get(code, 0)) for code in FILTERS
    ]
    return [*chips, (NOBODY, _("Nobody proposed"), head.nobody)]


@require_GET
@allowed("assignment.read")
def queue(request: Any) -> HttpResponse:
    """Who waits in a branch, with the proposals, and everybody's load before and after."""
    unit, which = _unit(request, request.GET), _filter(request.GET.get("rule"))
    day = working_day(request.bank)
    rows, more = queue_page(request.actor, unit, which, _number(request.GET.get("after")))
    head = queue_head(request.actor, unit)
    people = loads(owners_of(services.branch_units(unit)[0], day), day)
    context = {
        "branch": unit,
        "which": which,
        "rows": rows,
        "more": more,
        "head": head,
        "all_url": f"?unit={unit.pk}",
        "people": people,
        "chips": _chips(head),
        "effective_date": day,
        "may_decide": may(request.actor, "assignment.approve", unit),
    }
    return render(request, "relationship/queue.html", context)


def _back(request: Any, unit: OrgUnit) -> HttpResponseRedirect:
    query = {"unit": unit.pk, "rule": _filter(request.POST.get("rule"))}
    return HttpResponseRedirect(
        f"{reverse('relationship:queue')}?{urlencode({k: v for k, v in query.items() if v})}"
    )


def _chosen(request: Any, unit: OrgUnit, form: DecisionForm) -> list[int]:
    if form.cleaned_data["everything"]:
        found = in_queue(request.actor, unit, _filter(request.POST.get("rule"))).filter(manager__isnull=False)
        return list(found.values_list("pk", flat=True))
    return list(form.cleaned_data["selected"])


def _refuse(request: Any, error: DomainError) -> None:
    if error.status == 404:
        raise Http404
    messages.error(request, error.message)


@require_POST
@allowed("assignment.approve")
def approve(request: Any) -> HttpResponse:
    """Approve the ticked proposals, or all that the filter shows."""
    unit, form = _unit(request, request.POST), DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Write the date as 2026-11-20."))
        return _back(request, unit)
    day = working_day(request.bank)
    try:
        outcome = services.approve_proposals(
            request.actor,
            proposals=_chosen(request, unit, form),
            effective_date=form.cleaned_data["effective_date"] or day,
            working_day=day,
            now=timezone.now(),
        )
    except DomainError as error:
        _refuse(request, error)
    else:
        _tell(request, outcome)
    return _back(request, unit)


def _tell(request: Any, outcome: services.Outcome) -> None:
    if outcome.approved:
        text = ngettext("%d assignment approved.", "%d assignments approved.", outcome.approved)
        messages.success(request, text % outcome.approved)
    if outcome.already:
        text = ngettext("%d was decided already.", "%d were decided already.", outcome.already)
        messages.info(request, text % outcome.already)
    for refusal in outcome.refused[:5]:
        messages.warning(request, f"{refusal.customer}: {refusal.why}")
    if len(outcome.refused) > 5:
        messages.warning(request, _("%d more were not approved.") % (len(outcome.refused) - 5))


@require_POST
@allowed("assignment.approve")
def reject(request: Any) -> HttpResponse:
    """Refuse the ticked proposals with a reason."""
    unit, form = _unit(request, request.POST), DecisionForm(request.POST)
    form.is_valid()
    try:
        count = services.reject_proposals(
            request.actor,
            proposals=form.cleaned_data["selected"],
            comment=form.cleaned_data.get("comment", ""),
            working_day=working_day(request.bank),
            now=timezone.now(),
        )
    except DomainError as error:
        _refuse(request, error)
    else:
        text = ngettext("%d proposal refused.", "%d proposals refused.", count)
        messages.success(request, text % count)
    return _back(request, unit)


@require_POST
@allowed("assignment.propose")
def change(request: Any, pk: int) -> HttpResponse:
    """Put another person into a proposal."""
    unit, manager = _unit(request, request.POST), _number(request.POST.get("manager"))
    try:
        row = services.change_manager(
            request.actor,
            proposal_id=pk,
            manager_id=manager or 0,
            day=working_day(request.bank),
            now=timezone.now(),
        )
    except DomainError as error:
        _refuse(request, error)
    else:
        messages.success(request, _("%(manager)s is proposed now.") % {"manager": row.manager})
    return _back(request, unit)


@require_POST
@allowed("assignment.propose")
def propose(request: Any) -> HttpResponse:
    """Run the rules for the branch now."""
    unit = _unit(request, request.POST)
    services.propose_for_branch(request.actor, unit=unit, working_day=working_day(request.bank))
    messages.success(request, _("The rules have been run for this branch."))
    return _back(request, unit)
