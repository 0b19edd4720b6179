"""Churn models: versions, metrics, approval; and why a customer may leave."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.links import urls_for_condition
from customers.models import Customer
from segmentation import churn_services
from segmentation.models import ChurnModel
from segmentation.selectors import churn, tiers


def _model(request: Any, model_id: int) -> ChurnModel:
    try:
        return churn.models_of(request.actor).get(pk=model_id)
    except ChurnModel.DoesNotExist:
        raise Http404 from None


@allowed("model.read")
@require_GET
def overview(request: Any) -> HttpResponse:
    """Versions, the champion's validation, and the way to the customers at risk."""
    every, champions = list(churn.models_of(request.actor)), churn.champions()
    shown = champions[0] if champions else next((m for m in every if m.card), None)
    context = {
        "models": every,
        "shown": shown,
        "lines": churn.what_matters(shown) if shown else [],
        "chart": calibration_chart(shown) if shown else None,
        "history": churn.history(),
        "running": churn.training(),
        "reach": churn.reach(request.actor),
        "alarm": churn.ALARM_PCT,
        "list_url": risk_list_url(),
        "may_train": may(request.actor, "model.train"),
    }
    return render(request, "segmentation/churn.html", context)


@allowed("model.read")
@require_GET
def model(request: Any, model_id: int) -> HttpResponse:
    """One version: windows, metrics, calibration, what matters, and its approval."""
    found = _model(request, model_id)
    context = {
        "model": found,
        "lines": churn.what_matters(found),
        "chart": calibration_chart(found),
        "may_decide": may(request.actor, "model.approve"),
        "is_own": found.proposed_by_id == request.actor.staff_id,
    }
    return render(request, "segmentation/churn_model.html", context)


@allowed("model.train")
@require_POST
def train(request: Any) -> HttpResponse:
    """Start a training run and come back."""
    try:
        churn_services.train_models(request.actor, now=timezone.now())
        messages.success(request, _("Training has begun; the new version appears here when it is done."))
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("segmentation:churn")


def _decide(request: Any, model_id: int, action: Any, done: str) -> HttpResponse:
    _model(request, model_id)
    try:
        action(request.actor, model_id=model_id, now=timezone.now())
        messages.success(request, done)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("segmentation:churn-model", model_id)


@allowed("model.approve")
@require_POST
def propose(request: Any, model_id: int) -> HttpResponse:
    return _decide(
        request, model_id, churn_services.propose_model, _("Proposed. A second person approves it.")
    )


@allowed("model.approve")
@require_POST
def approve(request: Any, model_id: int) -> HttpResponse:
    return _decide(
        request, model_id, churn_services.approve_model, _("Approved. Customers are scored with it now.")
    )


@allowed("model.approve")
@require_POST
def reject(request: Any, model_id: int) -> HttpResponse:
    return _decide(request, model_id, churn_services.reject_model, _("Rejected. The champion stays."))


def _why(request: Any, customer_id: int, partial: str, whole: str) -> HttpResponse:
    try:
        customer = tiers.seen_customer(request.actor, customer_id)
    except Customer.DoesNotExist:
        raise Http404 from None
    context = {
        "customer": customer,
        "why": churn.why(request.actor, customer_id, request.bank.currency),
        "alarm": churn.ALARM_PCT,
        "may_models": may(request.actor, "model.read"),
    }
    return render(request, partial if request.htmx and not request.htmx.boosted else whole, context)


@allowed("customer.read")
@require_GET
def panel(request: Any, customer_id: int) -> HttpResponse:
    """The churn panel of the customer page."""
    return _why(request, customer_id, "segmentation/_churn_panel.html", "segmentation/churn_panel.html")


@allowed("customer.read")
@require_GET
def why(request: Any, customer_id: int) -> HttpResponse:
    """The reasons alone, for lists and the worklist."""
    return _why(request, customer_id, "segmentation/_churn_why.html", "segmentation/churn_panel.html")


def risk_list_url() -> str:
    """The list of the customers at or above the alarm."""
    return urls_for_condition({"all": [{"fact": "churn", "op": ">=", "value": churn.ALARM_PCT}]}, "-churn")


def calibration_chart(found: ChurnModel) -> dict[str, Any] | None:
    """Predicted against observed share of leavers, in tenths of the validation sample by score."""
    if not found.calibration:
        return None
    groups = found.calibration
    names = [str(i + 1) for i in range(len(groups))]
    bars = [
        {"type": "bar", "name": str(_("Predicted")), "itemStyle": {"color": "c1"},
         "data": [round(g["predicted"] * 100, 2) for g in groups]},
        {"type": "bar", "name": str(_("Actually left")), "itemStyle": {"color": "c3"},
         "data": [round(g["observed"] * 100, 2) for g in groups]},
    ]  # fmt: skip
    return {
        "id": "churn-calibration", "title": str(_("Predicted and observed, in tenths by score")),
        "unit": str(_("%, left bar predicted, right bar what happened")),
        "url": "", "size": "short",
        "option": {"xAxis": {"type": "category", "data": names}, "yAxis": {"type": "value"}, "series": bars},
        "head": [str(_("Tenth")), str(_("Customers")), str(_("Predicted")), str(_("Actually left"))],
        "rows": [
            [name, formats.number(g["customers"]), formats.percent(g["predicted"], 2), formats.percent(g["observed"], 2)]
            for name, g in zip(names, groups, strict=True)
        ],
    }  # fmt: skip
