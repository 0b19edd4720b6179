"""One approval case on one page with one's own opinion beside it, its acts, and the paper form (C6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from credit_rating.forms_cases import (
    OpinionForm,
    StaffForm,
)
from credit_rating.models import (
    CaseCondition,
    CaseStatus,
    CreditCase,
    OpinionPart,
)
from credit_rating.models.cases import OPEN
from credit_rating.selectors import cases as selectors
from credit_rating.services import cases as services
from credit_rating.services.cases import CaseFault, Stale
from credit_rating.views.case_page import queue_of, shown, tally_words, the_case
from credit_rating.views.case_words import begun_again, choices_of, followed, told_against, told_changes
from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import bank_today
from crm_site.accounts.sessions import confirm_identity
from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may

# In the session: what somebody said of a case that had changed meanwhile.
UNTAKEN = "untaken_opinion"


@allowed("credit.read")
@require_GET
def case(request: Any, case_id: int) -> HttpResponse:
    """The whole case on one page."""
    return case_answer(request, the_case(request, case_id))


def case_answer(
    request: Any, found: CreditCase, form: OpinionForm | None = None, status: int = 200, **more: Any
) -> HttpResponse:
    today = bank_today(request.bank)
    known = selectors.Branches(today)
    stands = selectors.capacity(request.actor, selectors.with_record(found), today, known)
    turn, tab = (
        selectors.turn_of(found, today, known),
        request.GET.get("list") or request.POST.get("list", ""),
    )
    may_return = found.status != CaseStatus.PRESIDENT or selectors.president_may_return(found)
    untaken = _untaken(request, found)
    opinion = form or OpinionForm(initial={**untaken, "dossier_hash": found.dossier_hash})
    again = begun_again(found)
    if untaken and not again:
        more["changed"] = told_changes(selectors.changes_since(found, untaken["dossier_hash"]))
    context = {
        **shown(request, found),
        "stands": stands,
        "against": told_against(found, stands, request.actor.staff_id) if stands else [],
        "form": opinion,
        "choices": choices_of(found, is_vote=bool(stands and stands.part == "vote"), may_return=may_return),
        "returned_once": not may_return,
        "turn": turn,
        "votes": tally_words(turn.votes) if turn.votes else "",
        **again,
        "untaken": untaken,
        **queue_of(request, found, tab),
        "stand_in_for": Staff.objects.filter(pk=stands.on_behalf_of).first() if stands and stands.on_behalf_of else None,
        "colleagues": _colleagues(request, today) if stands and stands.part == OpinionPart.DECISION else [],
        "is_maker": found.prepared_by_id == request.actor.staff_id,
        "may_add_files": found.status in OPEN and selectors.may_add_files(request.actor, stands),
        "staff_id": request.actor.staff_id,
        "may_audit": may(request.actor, "audit.read"),
        "may_evidence": may(request.actor, services.PREPARE),
        "may_accept": may(request.actor, services.MANAGE),
        "is_open": found.status not in ("approved", "rejected", "withdrawn", "expired"),
        **more,
    }  # fmt: skip
    return render(request, "credit_rating/case.html", context, status=status)


def _colleagues(request: Any, today: dt.date) -> QuerySet[Staff, tuple[str, str, str]]:
    """(number, name, unit) of whom one may ask for an opinion first: every manager of a branch is among them."""
    others = selectors.deciding_staff(today).exclude(pk=request.actor.staff_id)
    return others.values_list("number", "name", "unit__name")


@allowed("credit.decide")
@require_POST
def case_decide(request: Any, case_id: int) -> HttpResponse:
    """Say what one thinks; the person proves first who he is."""
    found, form = the_case(request, case_id), OpinionForm(request.POST)
    if not form.is_valid():
        return case_answer(request, found, form, 422)
    if ask := confirm_identity(request):
        return ask
    now, today = timezone.now(), bank_today(request.bank)
    try:
        services.decide(request.actor, case_id=case_id, **form.given(), now=now, today=today)
    except DomainError as error:
        # A double click, or the same form sent again from an old page: what was meant is done.
        if not selectors.said_already(found, request.actor.staff_id, *form.sealed()):
            return _refused(request, case_id, form, error)
    request.session.pop(UNTAKEN, None)
    said, became = _("Your opinion is on the record."), followed(the_case(request, case_id))
    messages.success(request, f"{said} {became}")
    return _back_to(request, case_id)


def _refused(request: Any, case_id: int, form: OpinionForm, error: DomainError) -> HttpResponse:
    """The page again with why not; of a case that has changed at its own address, with what was typed: this request may
    have gone on from the page that asks who somebody is, whose address is not the case's."""
    if isinstance(error, Stale):
        given = {name: request.POST.get(name, "") for name in form.fields}
        request.session[UNTAKEN] = {"case": case_id, "given": given}
        messages.error(request, error.message)
        return _back_to(request, case_id)
    form.refuse(error)
    return case_answer(request, the_case(request, case_id), form, error.status)


def _untaken(request: Any, found: CreditCase) -> dict[str, str]:
    """What the reader last said of a case and was not taken, because it had changed meanwhile."""
    kept = request.session.get(UNTAKEN, {})
    if kept.get("case") != found.pk or kept["given"]["dossier_hash"] == found.dossier_hash:
        return {}
    given: dict[str, str] = kept["given"]
    return given


def _back_to(request: Any, case_id: int) -> HttpResponse:
    """The case's page, still in the list it was opened from."""
    tab, url = request.POST.get("list", ""), reverse("credit_rating:case", args=[case_id])
    return redirect(f"{url}?list={tab}" if tab in selectors.TABS else url)


@allowed("credit.read")
@require_POST
def case_act(request: Any, case_id: int) -> HttpResponse:
    """Submit, withdraw, send a copy, ask another signer, or take no part."""
    found = the_case(request, case_id)
    try:
        done = _act(request, case_id)
    except DomainError as error:
        messages.error(request, error.message)
        return case_answer(request, found, status=error.status)
    messages.success(request, done)
    return redirect("credit_rating:case", case_id)


def _act(request: Any, case_id: int) -> str:
    act, actor = request.POST.get("act", ""), request.actor
    when: dict[str, Any] = {"case_id": case_id, "now": timezone.now(), "today": bank_today(request.bank)}
    if act == "submit":
        services.submit_case(actor, **when)
        return followed(the_case(request, case_id))
    if act == "withdraw":
        services.withdraw_case(actor, **when)
        return _("The case is withdrawn.")
    if act == "recuse":
        services.recuse(actor, reason=request.POST.get("reason", ""), **when)
        return _("You take no part in this case.")
    if act not in ("copy", "signer"):
        raise CaseFault(_("This cannot be done to a case."), code="act")
    form = StaffForm(request.POST)
    staff_id = form.staff_id() if form.is_valid() else 0
    if act == "copy":
        services.copy_case(actor, staff_id=staff_id, **when)
        return _("A copy is sent.")
    services.add_signer(actor, staff_id=staff_id, **when)
    return _("The stage waits for this opinion.")


@allowed("credit.prepare")
@require_POST
def condition_evidence(request: Any, condition_id: int) -> HttpResponse:
    """Say by what a condition is met."""
    return _on_condition(
        request,
        condition_id,
        services.evidence_condition,
        done=_("The evidence is kept; somebody of credit review or risk accepts it."),
        evidence=request.POST.get("evidence", ""),
        uploads=request.FILES.getlist("files"),
    )


@allowed("line.manage")
@require_POST
def condition_accept(request: Any, condition_id: int) -> HttpResponse:
    """A second person has seen the evidence."""
    done = _("Accepted. Once all conditions are, the line can be activated.")
    return _on_condition(request, condition_id, services.accept_condition, done=done)


def _on_condition(
    request: Any, condition_id: int, act: Callable[..., object], *, done: str, **given: Any
) -> HttpResponse:
    one = CaseCondition.objects.visible_to(request.actor).filter(pk=condition_id).first()
    if one is None:
        raise Http404
    try:
        act(request.actor, condition_id=condition_id, now=timezone.now(), **given)
    except DomainError as error:
        messages.error(request, error.message)
        return case_answer(request, the_case(request, one.case_id), status=error.status)
    messages.success(request, done)
    return redirect("credit_rating:case", one.case_id)


@allowed("credit.read")
@require_GET
def case_print(request: Any, case_id: int) -> HttpResponse:
    """The paper form 客户授信额度审议审批表."""
    found = selectors.with_record(the_case(request, case_id))
    context = {
        **shown(request, found),
        "form_name": _("Credit line approval form"),
        "form_number": found.number,
        "printed_by": request.actor.label,
        "printed_at": timezone.now(),
        "as_of_line": _("As of %s") % formats.day(found.as_of) if found.as_of else "",
    }
    return render(request, "credit_rating/case_print.html", context)
