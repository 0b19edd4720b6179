"""Early warnings: the list, one warning and its answer, the customer's panel; five-level classes of a customer's loans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from credit_rating.engine.classes import NON_PERFORMING, Level
from credit_rating.forms_warnings import AnswerForm, DowngradeForm, WarningFilterForm
from credit_rating.models import LoanClass, Signal
from credit_rating.policies.classes import BAD, CODES, LABELS, LEVELS
from credit_rating.policies.warnings import name_of
from credit_rating.selectors import warnings as selectors
from credit_rating.services import warnings as services
from credit_rating.warning_words import figures_of
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import Actor, may
from customers.models import Customer, Loan

TONES = {"watch": "tag-watch", "risk": "tag-risk"}
DONE = {
    "dealt": gettext_lazy("The warning is dealt with."),
    "false_alarm": gettext_lazy("It is noted as a false alarm."),
    "pass_on": gettext_lazy("The warning is passed on."),
}


def _partial(request: Any) -> bool:
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request


def drawn_warnings(actor: Actor, signals: Iterable[Signal], day: Any) -> list[dict[str, Any]]:
    """Warnings as a page draws them: a member of a group is named to who sees it."""
    listed = list(signals)
    names = selectors.member_names(actor, listed)
    return [_drawn(signal, day, names) for signal in listed]


def _drawn(signal: Signal, day: Any, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "signal": signal,
        "name": name_of(signal.code, signal.name),
        "figures": figures_of(signal, names),
        "tone": TONES[signal.level],
        "is_late": signal.is_open and signal.due_on < day,
    }


@allowed("credit.read")
@require_GET
def warning_list(request: Any) -> HttpResponse:
    """The warnings that the person sees, filtered as the address says; htmx gets the table alone."""
    day, form = bank_today(request.bank), WarningFilterForm(request.actor, request.GET)
    query = form.query()
    found = selectors.warning_page(request.actor, query, after=request.GET.get("after", ""))
    context = {
        "form": form,
        "rows": drawn_warnings(request.actor, found.rows, day),
        "count": selectors.warning_count(request.actor, query),
        "filters": form.menus(),
        "next_url": form.url(after=found.following) if found.following else "",
        "is_first": not request.GET.get("after"),
        "first_url": form.url(),
    }
    template = "credit_rating/_warning_table.html" if _partial(request) else "credit_rating/warning_list.html"
    return render(request, template, context)


def _signal(request: Any, signal_id: int) -> Signal:
    try:
        return selectors.seen_warning(request.actor, signal_id)
    except Signal.DoesNotExist:
        raise Http404 from None


@allowed("credit.read")
@require_GET
def warning(request: Any, signal_id: int) -> HttpResponse:
    """What it warns of, by which rule and figures, what was done with it, and what may be done."""
    form = AnswerForm(request.actor, bank_today(request.bank))
    return _page(request, _signal(request, signal_id), form, 200)


def _page(request: Any, signal: Signal, form: AnswerForm, status: int) -> HttpResponse:
    context = {
        **drawn_warnings(request.actor, [signal], bank_today(request.bank))[0],
        "customer": signal.customer,
        "rule_sentence": selectors.rule_sentence(signal),
        "acts": selectors.acts_of(signal),
        "worst": _code(selectors.worst_class(request.actor, signal.customer_id)),
        "form": form if signal.is_open and selectors.may_handle(request.actor, signal) else None,
    }
    return render(request, "credit_rating/warning.html", context, status=status)


def _code(row: LoanClass | None) -> str:
    return CODES[Level(row.level)] if row else ""


@allowed("warning.handle")
@require_POST
def warning_act(request: Any, signal_id: int) -> HttpResponse:
    """Dealt with, a false alarm, or passed on; with its note."""
    signal, day = _signal(request, signal_id), bank_today(request.bank)
    form = AnswerForm(request.actor, day, request.POST)
    if not form.is_valid():
        return _page(request, signal, form, 422)
    act, given = (
        form.cleaned_data["act"],
        {"note": form.cleaned_data["note"], "day": day, "now": timezone.now()},
    )
    try:
        if act == "pass_on":
            services.pass_on_warning(
                request.actor, signal_id=signal_id, to_id=form.cleaned_data["to"], **given
            )
        else:
            services.answer_warning(request.actor, signal_id=signal_id, kind=act, **given)
    except DomainError as error:
        form.add_error(next((f for f in error.fields if f in form.fields), None), error.message)
        return _page(request, _signal(request, signal_id), form, error.status)
    messages.success(request, DONE[act])
    return redirect("credit_rating:warning", signal_id)


def _customer(request: Any, customer_id: int) -> Customer:
    return get_object_or_404(Customer.objects.visible_to(request.actor), pk=customer_id)


@allowed("credit.read")
@require_GET
def warning_panel(request: Any, customer_id: int) -> HttpResponse:
    """The customer's warnings and five-level class, on the customer's page."""
    customer, day = _customer(request, customer_id), bank_today(request.bank)
    worst = selectors.worst_class(request.actor, customer_id)
    context = {
        "customer": customer,
        "rows": drawn_warnings(request.actor, selectors.warnings_of(request.actor, customer_id), day),
        "worst": worst,
        "worst_code": _code(worst),
    }
    template = "credit_rating/_warning_panel.html" if _partial(request) else "customers/panel_page.html"
    return render(request, template, context | {"panel_template": "credit_rating/_warning_panel.html"})


# -- classes --------------------------------------------------------------------------------------------------------


@allowed("credit.read")
@require_GET
def classes(request: Any, customer_id: int) -> HttpResponse:
    """The customer's loans with their classes, why, and since when."""
    return _classes(request, _customer(request, customer_id), None, DowngradeForm(), 200)


def _classes(
    request: Any, customer: Customer, loan_id: int | None, form: DowngradeForm, status: int
) -> HttpResponse:
    rows = [
        row
        | {
            "code": _code(row["now"]),
            "past": [
                (
                    past,
                    _code(past),
                    Decimal(past.figures["share"]),
                    selectors.say_class_rule(past, row["loan"]),
                    selectors.say_class_figure(past),
                )
                for past in row["history"]
            ],
            "loss_share": row["loss"].share if row["loss"] else None,
            "hand_label": LABELS[CODES[Level(row["by_hand"].level)]] if row["by_hand"] else "",
            "form": form if row["loan"].pk == loan_id else DowngradeForm(auto_id=f"id_{row['loan'].pk}_%s"),
            "has_fault": row["loan"].pk == loan_id,
        }
        for row in selectors.classes_of(request.actor, customer.pk)
    ]
    context = {
        "customer": customer,
        "rows": rows,
        "debts": selectors.all_debts(request.actor, customer, bank_today(request.bank)) if rows else None,
        "may_lower": may(request.actor, services.LOWER),
    }
    return render(request, "credit_rating/classes.html", context, status=status)


def _levels_of(chosen: str) -> list[int]:
    """The classes of a choice: one, those that do not perform, or all worse than normal."""
    if chosen in LEVELS:
        return [int(LEVELS[chosen])]
    least = NON_PERFORMING if chosen == BAD else Level.SPECIAL_MENTION
    return [int(level) for level in CODES if level >= least]


@allowed("credit.read")
@require_GET
def class_list(request: Any) -> HttpResponse:
    """The loans in a class, of the customers that the person sees."""
    chosen, after = request.GET.get("level", ""), request.GET.get("after", "")
    levels = _levels_of(chosen)
    key = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
    rows = selectors.class_page(request.actor, levels, after=key)
    shown = rows[: selectors.PAGE]
    context = {
        "rows": [
            (
                row,
                CODES[Level(row.level)],
                selectors.say_class_rule(row, row.loan),
                selectors.say_class_figure(row),
            )
            for row in shown
        ],
        "levels": [(BAD, _("Non-performing")), *LABELS.items()],
        "count": selectors.class_count(request.actor, levels) if not key else None,
        "chosen": chosen if chosen == BAD or chosen in LEVELS else "",
        "next_url": f"?level={chosen}&after={shown[-1].pk}" if len(rows) > selectors.PAGE else "",
    }
    return render(request, "credit_rating/class_list.html", context)


@allowed("loan_class.lower")
@require_POST
def class_lower(request: Any, loan_id: int) -> HttpResponse:
    """Set a class by hand, or lift what is set; with its reason. It holds from the next night on."""
    loan = get_object_or_404(Loan.objects.visible_to(request.actor).select_related("customer"), pk=loan_id)
    form = DowngradeForm(request.POST)
    if not form.is_valid():
        return _classes(request, loan.customer, loan_id, form, 422)
    given = {"loan_id": loan_id, "reason": form.cleaned_data["reason"], "now": timezone.now()}
    try:
        if form.cleaned_data["act"] == "lift":
            services.lift_downgrade(request.actor, **given)
        else:
            services.lower_class(request.actor, level=form.worst, **given)
    except DomainError as error:
        form.add_error(next((f for f in error.fields if f in form.fields), None), error.message)
        return _classes(request, loan.customer, loan_id, form, error.status)
    messages.success(request, _("It is recorded. The next night classes the loan by it."))
    return redirect("credit_rating:classes", loan.customer_id)
