"""The desk of who decides: inbox, several cases at once, who stands in, relatives, who would decide."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from credit_rating import words
from credit_rating.forms_cases import (
    AuthorityForm,
    BatchForm,
    DelegationForm,
    InboxFilterForm,
    RelationForm,
)
from credit_rating.models import (
    Delegation,
    Verdict,
)
from credit_rating.policies.authority import STAGE_LABELS
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.campaign_batches import batches_to_sign
from credit_rating.selectors.waiting import DECIDE_RATING as RATE
from credit_rating.selectors.waiting import ratings_to_decide
from credit_rating.selectors.warnings import WarningQuery, warning_count
from credit_rating.services import cases as services
from credit_rating.services.cases import CaseFault
from credit_rating.views.case_page import TAB_LABELS
from credit_rating.views.case_rows import case_rows
from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import bank_today
from crm_site.accounts.sessions import confirm_identity
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.models import Customer

MISSES = {
    "amount": gettext_lazy("amount"),
    "grade": gettext_lazy("grade"),
    "kind": gettext_lazy("kind of customer"),
    "guarantee": gettext_lazy("guarantee"),
}


@allowed("credit.read")
@require_GET
def inbox(request: Any) -> HttpResponse:
    """What waits for one, what one has decided, made, and has copies of."""
    tab = request.GET.get("tab", "")
    if tab and tab not in selectors.TABS:
        raise Http404
    return _inbox(request, tab or "todo", is_asked=bool(tab))


def _inbox(request: Any, tab: str, *, is_asked: bool = True, **more: Any) -> HttpResponse:
    """Who has nothing to decide is led to the tab that holds something; who never decides begins there."""
    today = bank_today(request.bank)
    after = request.GET.get("after", "")
    key = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
    away = selectors.delegations_to(request.actor.staff_id or 0, today) if tab == "todo" else {}
    form = InboxFilterForm(tab, request.GET, away)
    found = selectors.inbox(request.actor, tab, day=today, after=key, away=away, whose=form.person)
    onward = (
        selectors.filled_tab(request.actor) if tab == "todo" and not found.rows and not form.whose else ""
    )
    if onward and not is_asked and not may(request.actor, "credit.decide"):
        tab, found, onward = onward, selectors.inbox(request.actor, onward, day=today), ""
        form = InboxFilterForm(tab, {}, {})
    context = {
        "rows": case_rows(found.rows, today, found.instead), "tab": tab, "tabs": TAB_LABELS.items(), "onward": onward,
        "count": found.count, "most_counted": selectors.MOST_COUNTED, "filters": form.menus(),
        "first_url": form.url() if key else "", "next_url": form.url(after=found.following) if found.following else "",
        "onward_label": TAB_LABELS.get(onward, ""),
        "may_decide": may(request.actor, "credit.decide"),
        "may_batch": tab == "todo" and may(request.actor, "credit.decide"), "form": BatchForm(),
        "ratings": ratings_to_decide(request.actor, today).count() if may(request.actor, RATE) else 0,
        "batches_to_sign": batches_to_sign(request.actor, today) if tab == "todo" else [], **more,
    }  # fmt: skip
    return render(request, "credit_rating/case_list.html", context)


@allowed("credit.read")
@require_GET
def desk_counts(request: Any) -> HttpResponse:
    """How much of credit waits for one: a part of the home page that loads itself, for who may decide is dear to ask."""
    actor, today = request.actor, bank_today(request.bank)
    warned = WarningQuery(level="risk")
    context = {
        "cases": selectors.todo_count(actor, today) if may(actor, "credit.decide") else 0,
        "ratings": ratings_to_decide(actor, today).count() if may(actor, RATE) else 0,
        "warnings": warning_count(actor, warned) if may(actor, "assignment.approve") else 0,
    }
    return render(request, "credit_rating/_desk_counts.html", context)


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


@allowed("credit.decide")
@require_http_methods(["GET", "POST"])
def delegations(request: Any) -> HttpResponse:
    """Who stands in for one while away."""
    today = bank_today(request.bank)
    form = DelegationForm(request.POST or None, initial={"from_date": today})
    offered = selectors.stand_ins(request.actor, today)
    form.choose_from(
        offered.select_related("unit"), selectors.deciding_roles(offered.values_list("pk", flat=True), today)
    )
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
            "why": words.ROUTE_REASONS[route.why],
            "version": version,
            "reasons": [
                (STAGE_LABELS[r.row.stage], r.row, [MISSES[miss] for miss in r.misses]) for r in route.reasons
            ],
        }
    return render(request, "credit_rating/authority.html", context)
