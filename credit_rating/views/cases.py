"""Approval cases: the inbox, one case on one page with one's own opinion beside it, and the paper form (C6)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from credit_rating.engine.steps import ZERO
from credit_rating.forms_cases import (
    AuthorityForm,
    BatchForm,
    CaseForm,
    DelegationForm,
    OpinionForm,
    RelationForm,
    StaffForm,
    first_values,
)
from credit_rating.models import (
    CaseCondition,
    CaseStatus,
    CreditCase,
    Delegation,
    LineCalculation,
    Rating,
    Verdict,
)
from credit_rating.models.cases import STAGES
from credit_rating.policies.authority import STAGE_LABELS
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.calculations import calculation
from credit_rating.selectors.guarantees import guarantees_of
from credit_rating.selectors.ratings import rating
from credit_rating.selectors.waiting import DECIDE_RATING as RATE
from credit_rating.selectors.waiting import ratings_to_decide
from credit_rating.services import cases as services
from credit_rating.services.cases import CaseFault, Stale
from credit_rating.views.calculations import saved_context
from credit_rating.views.case import case_customer
from credit_rating.views.case_rows import TONES, case_rows
from credit_rating.views.ratings import drawn_rating
from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import bank_today
from crm_site.accounts.sessions import confirm_identity
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.models import Customer

TAB_LABELS = {
    "todo": gettext_lazy("To decide"),
    "decided": pgettext_lazy("case", "Decided"),
    "mine": gettext_lazy("Mine"),
    "copied": gettext_lazy("Copied"),
}
WHY = {
    "row": gettext_lazy("by the authority matrix"),
    "no_row": gettext_lazy("no row of the authority matrix covers it"),
    "above_limit": gettext_lazy("more than was calculated: an exception"),
    "president_sees": gettext_lazy("what the committee approves goes to the president"),
}
MISSES = {
    "amount": gettext_lazy("amount"),
    "grade": gettext_lazy("grade"),
    "kind": gettext_lazy("kind of customer"),
    "guarantee": gettext_lazy("guarantee"),
}
RULES = {
    "rule:maker": gettext_lazy("has made it"),
    "rule:own": gettext_lazy("own customer"),
    "rule:relative": gettext_lazy("relative"),
    "rule:decided": gettext_lazy("has decided before"),
    "rule:recused": gettext_lazy("takes no part"),
}


@allowed("credit.read")
@require_GET
def inbox(request: Any) -> HttpResponse:
    """What waits for one, what one has decided, made, and has copies of."""
    tab = request.GET.get("tab", "todo")
    if tab not in selectors.TABS:
        raise Http404
    return _inbox(request, tab)


def _inbox(request: Any, tab: str, **more: Any) -> HttpResponse:
    today = bank_today(request.bank)
    context = {
        "rows": case_rows(selectors.inbox(request.actor, tab, day=today), today), "tab": tab, "tabs": TAB_LABELS.items(), "may_decide": may(request.actor, "credit.decide"),
        "may_batch": tab == "todo" and may(request.actor, "credit.decide"), "form": BatchForm(),
        "ratings": ratings_to_decide(request.actor).count() if may(request.actor, RATE) else 0, **more,
    }  # fmt: skip
    return render(request, "credit_rating/case_list.html", context)


def _case(request: Any, case_id: int) -> CreditCase:
    try:
        return selectors.seen_case(request.actor, case_id)
    except CreditCase.DoesNotExist:
        raise Http404 from None


@allowed("credit.read")
@require_GET
def case(request: Any, case_id: int) -> HttpResponse:
    """The whole case on one page."""
    return _page(request, _case(request, case_id))


def _page(
    request: Any, found: CreditCase, form: OpinionForm | None = None, status: int = 200, **more: Any
) -> HttpResponse:
    today = bank_today(request.bank)
    stands = selectors.capacity(request.actor, found, today)
    words = services.objection_words()
    opinion = form or OpinionForm(initial={"dossier_hash": found.dossier_hash})
    context = {
        **_shown(request, found),
        "stands": stands,
        "against": [words[code] for code in stands.objections] if stands else [],
        "form": opinion,
        "choices": [c for c in Verdict.choices if c[0] != "abstain" or (stands and stands.part == "vote")],
        "stand_in_for": Staff.objects.filter(pk=stands.on_behalf_of).first() if stands and stands.on_behalf_of else None,
        "staff_form": StaffForm(),
        "is_maker": found.prepared_by_id == request.actor.staff_id,
        "may_evidence": may(request.actor, services.PREPARE),
        "may_accept": may(request.actor, services.MANAGE),
        "is_open": found.status not in ("approved", "rejected", "withdrawn", "expired"),
        **more,
    }  # fmt: skip
    return render(request, "credit_rating/case.html", context, status=status)


def _shown(request: Any, found: CreditCase) -> dict[str, Any]:
    """What page and paper share."""
    record = selectors.record_of(request.actor, found)
    rows = guarantees_of(request.actor, found.customer, day=bank_today(request.bank))
    waits = found.is_waiting
    return {
        "case": found,
        "customer": found.customer,
        "tone": TONES.get(found.status, ""),
        "rate": None if found.rate_bp is None else Decimal(found.rate_bp) / 10_000,
        "before": found.line.limit if found.line and found.status != CaseStatus.APPROVED else None,
        "stages": _stages(found, record),
        "route_why": WHY.get(found.route_why, ""),
        "opinions": [(o, TONES.get(o.verdict, "")) for o in record.opinions],
        "hidden_votes": record.hidden_votes,
        "recused": [(s.staff.name, RULES.get(s.recused, s.recused)) for s in record.seats if s.recused],
        "signers": selectors.open_signers(found) if waits else [],
        "conditions": selectors.conditions_of(found),
        "rows": rows,
        "usable": sum((r.usable.amount for r in rows), ZERO),
        "saved": _calculation(request, found),
        "rated": _rating(request, found),
        "copies": list(found.copies.select_related("staff")),
    }


def _calculation(request: Any, found: CreditCase) -> dict[str, Any] | None:
    if found.calculation_id is None:
        return None
    try:
        return saved_context(calculation(request.actor, found.calculation_id))
    except LineCalculation.DoesNotExist:
        return None


def _rating(request: Any, found: CreditCase) -> dict[str, Any] | None:
    if found.rating_id is None:
        return None
    try:
        return drawn_rating(rating(request.actor, found.rating_id))
    except Rating.DoesNotExist:
        return None


def _stages(found: CreditCase, record: selectors.Record) -> list[dict[str, Any]]:
    """The steps of the form: the manager's, then those of the route, with who has spoken at each."""
    steps: list[dict[str, Any]] = [{"label": _("Manager's investigation"), "state": "done" if found.round else "current",
              "note": found.prepared_by.name}]  # fmt: skip
    route = found.route or [stage.value for stage in STAGES]
    current = route.index(found.status) if found.status in route else -1
    for place, stage in enumerate(route):
        said = [o for o in record.opinions if o.stage == stage and o.round == found.round and not o.voided_at]
        decided = next((o for o in said if o.part == "decision"), None)
        if stage == "committee" and stage == found.status:
            cast = record.hidden_votes + sum(1 for o in said if o.part == "vote")
            seats = sum(1 for s in record.seats if s.kind == "member" and not s.recused)
            note = _("%(cast)s of %(seats)s votes, at least %(quorum)s") % {
                "cast": cast, "seats": seats, "quorum": found.quorum,
            }  # fmt: skip
        elif stage == "committee" and said:
            note = _("%s votes") % sum(1 for o in said if o.part == "vote")
        else:
            note = f"{decided.staff.name} · {decided.get_verdict_display()}" if decided else ""
        done = place < current or found.status == CaseStatus.APPROVED or (current < 0 and bool(said))
        state = "current" if place == current else "done" if done else ""
        steps.append({"label": STAGE_LABELS[stage], "state": state, "note": note})
    return steps


@allowed("credit.decide")
@require_POST
def case_decide(request: Any, case_id: int) -> HttpResponse:
    """Say what one thinks; the person proves first who he is."""
    found, form = _case(request, case_id), OpinionForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, 422)
    if ask := confirm_identity(request):
        return ask
    try:
        services.decide(
            request.actor, case_id=case_id, **form.given(), now=timezone.now(), today=bank_today(request.bank)
        )
    except Stale as error:
        form.refuse(error)
        return _page(request, _case(request, case_id), _again(request, case_id, error), 409, stale=error)
    except DomainError as error:
        form.refuse(error)
        return _page(request, _case(request, case_id), form, error.status)
    messages.success(request, _("Your opinion is on the record."))
    return redirect("credit_rating:case", case_id)


def _again(request: Any, case_id: int, error: Stale) -> OpinionForm:
    """The form anew, with what was written and the hash of what is shown now."""
    given = request.POST.copy()
    given["dossier_hash"] = _case(request, case_id).dossier_hash
    form = OpinionForm(given)
    form.add_error(None, error.message)
    return form


@allowed("credit.decide")
@require_POST
def case_batch(request: Any) -> HttpResponse:
    """Agree with the chosen cases; what could not be decided stays listed with its reason."""
    form = BatchForm(request.POST)
    chosen = [pair.partition(":")[::2] for pair in request.POST.getlist("selected")]
    items = [(int(key), shown) for key, shown in chosen if key.isascii() and key.isdigit()]
    if not form.is_valid() or not items:
        return _inbox(request, "todo", batch_error=_("Choose cases and say why."), form=form)
    if ask := confirm_identity(request):
        return ask
    try:
        batch = services.decide_batch(
            request.actor, items=items, verdict=Verdict.APPROVE, text=form.cleaned_data["text"],
            now=timezone.now(), today=bank_today(request.bank),
        )  # fmt: skip
    except CaseFault as error:
        return _inbox(request, "todo", batch_error=error.message, form=form)
    return _inbox(request, "todo", batch=batch)


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def case_new(request: Any, customer_id: int) -> HttpResponse:
    """A case for a customer; the newest calculation is taken over."""
    customer = case_customer(request, customer_id)
    form = CaseForm(customer, request.POST or None, initial=_beginning(request, customer))
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_case(
                request.actor, customer=customer, terms=form.asked(), now=timezone.now()
            )
            services.edit_case(
                request.actor, case_id=made.pk, terms=form.asked(),
                investigation=form.cleaned_data["investigation"], now=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect("credit_rating:case", made.pk)
    return _form_page(request, customer, form, None)


def _beginning(request: Any, customer: Customer) -> dict[str, Any]:
    newest = LineCalculation.objects.filter(customer=customer).order_by("-id").first()
    start: dict[str, Any] = {"kind": "new", "currency": request.bank.currency, "term_months": 12}
    if newest is None:
        return start
    rate = None if newest.rate_bp is None else Decimal(newest.rate_bp) / 100
    return start | {
        "amount": newest.requested, "term_months": newest.term_months, "rate": rate, "calculation": newest.pk,
    }  # fmt: skip


def _form_page(request: Any, customer: Customer, form: CaseForm, found: CreditCase | None) -> HttpResponse:
    context = {"customer": customer, "form": form, "case": found}
    return render(request, "credit_rating/case_form.html", context, status=422 if form.errors else 200)


@allowed("credit.prepare")
@require_http_methods(["GET", "POST"])
def case_edit(request: Any, case_id: int) -> HttpResponse:
    """Its maker changes a draft or a returned case."""
    found = _case(request, case_id)
    form = CaseForm(found.customer, request.POST or None, initial=first_values(found))
    if request.method == "POST" and form.is_valid():
        try:
            services.edit_case(
                request.actor, case_id=case_id, terms=form.asked(),
                investigation=form.cleaned_data["investigation"], now=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect("credit_rating:case", case_id)
    return _form_page(request, found.customer, form, found)


@allowed("credit.read")
@require_POST
def case_act(request: Any, case_id: int) -> HttpResponse:
    """Submit, withdraw, send a copy, ask another signer, or take no part."""
    found = _case(request, case_id)
    try:
        done = _act(request, case_id)
    except DomainError as error:
        messages.error(request, error.message)
        return _page(request, found, status=error.status)
    messages.success(request, done)
    return redirect("credit_rating:case", case_id)


def _act(request: Any, case_id: int) -> str:
    act, actor = request.POST.get("act", ""), request.actor
    when: dict[str, Any] = {"case_id": case_id, "now": timezone.now(), "today": bank_today(request.bank)}
    if act == "submit":
        services.submit_case(actor, **when)
        return _("The case is with the branch.")
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
        request, condition_id, services.evidence_condition, evidence=request.POST.get("evidence", "")
    )


@allowed("line.manage")
@require_POST
def condition_accept(request: Any, condition_id: int) -> HttpResponse:
    """A second person has seen the evidence."""
    return _on_condition(request, condition_id, services.accept_condition)


def _on_condition(request: Any, condition_id: int, act: Callable[..., object], **given: str) -> HttpResponse:
    one = CaseCondition.objects.visible_to(request.actor).filter(pk=condition_id).first()
    if one is None:
        raise Http404
    try:
        act(request.actor, condition_id=condition_id, now=timezone.now(), **given)
    except DomainError as error:
        messages.error(request, error.message)
        return _page(request, _case(request, one.case_id), status=error.status)
    return redirect("credit_rating:case", one.case_id)


@allowed("credit.read")
@require_GET
def case_print(request: Any, case_id: int) -> HttpResponse:
    """The paper form 客户授信额度审议审批表."""
    found = _case(request, case_id)
    context = {
        **_shown(request, found),
        "form_name": _("Credit line approval form"),
        "form_number": found.number,
        "printed_by": request.actor.label,
        "printed_at": timezone.now(),
    }
    return render(request, "credit_rating/case_print.html", context)


@allowed("credit.decide")
@require_http_methods(["GET", "POST"])
def delegations(request: Any) -> HttpResponse:
    """Who stands in for one while away."""
    today = bank_today(request.bank)
    form = DelegationForm(request.POST or None, initial={"from_date": today})
    others = selectors.deciding_staff(today).exclude(pk=request.actor.staff_id)
    form.choose_from(others)
    if request.method == "POST" and request.POST.get("end", "").isdigit():
        return _end_delegation(request)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            services.delegate(
                request.actor, to_id=given["to"].pk, from_date=given["from_date"], to_date=given["to_date"],
                now=timezone.now(), today=today,
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            return redirect("credit_rating:delegations")
    mine = Delegation.objects.filter(staff_id=request.actor.staff_id).select_related("to")[:50]
    context = {"form": form, "rows": mine, "today": today}
    return render(request, "credit_rating/delegations.html", context, status=422 if form.errors else 200)


def _end_delegation(request: Any) -> HttpResponse:
    try:
        services.end_delegation(request.actor, delegation_id=int(request.POST["end"]), now=timezone.now())
    except Delegation.DoesNotExist:
        raise Http404 from None
    return redirect("credit_rating:delegations")


@allowed("credit_register.manage")
@require_http_methods(["GET", "POST"])
def relation_add(request: Any) -> HttpResponse:
    """Enter that a customer is a relative of a member of staff."""
    form = RelationForm(request.POST or None, initial={"from_date": bank_today(request.bank)})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        staff = Staff.objects.filter(number=given["staff_number"].strip()).first()
        customer = (
            Customer.objects.visible_to(request.actor).filter(number=given["customer_number"].strip()).first()
        )
        if staff is None:
            form.add_error("staff_number", _("Nobody has this number."))
        if customer is None:
            form.add_error("customer_number", _("No customer has this number."))
        if staff is not None and customer is not None:
            services.record_relation(
                request.actor, staff_id=staff.pk, customer=customer, basis=given["basis"],
                from_date=given["from_date"], now=timezone.now(),
            )  # fmt: skip
            messages.success(request, _("The relation is on the register."))
            return redirect("credit_rating:registers")
    context = {"form": form, "title": _("Enter a relative of a colleague")}
    return render(request, "credit_rating/register_form.html", context, status=422 if form.errors else 200)


@allowed("credit.read")
@require_GET
def authority(request: Any) -> HttpResponse:
    """Who would decide this case? The route by the policy in force, with the reasons of every row."""
    form = AuthorityForm(request.GET or None)
    context: dict[str, Any] = {"form": form, "labels": STAGE_LABELS}
    if form.is_bound and form.is_valid():
        route, version = selectors.who_would_decide(form.asked(), bank_today(request.bank))
        context |= {
            "route": [STAGE_LABELS[stage] for stage in route.stages],
            "why": WHY[route.why],
            "version": version,
            "reasons": [
                (STAGE_LABELS[r.row.stage], r.row, [MISSES[miss] for miss in r.misses]) for r in route.reasons
            ],
        }
    return render(request, "credit_rating/authority.html", context)
