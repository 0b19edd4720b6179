"""Tier policies: the versions, a draft, its proposal, and its publication by a second person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts.selectors import business_date
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.conditions import sentence
from segmentation import services
from segmentation.forms import ProposalForm, ThresholdForm
from segmentation.models import TierPolicy
from segmentation.models.tiers import tier_label
from segmentation.selectors import policies

TONES = {"draft": "", "proposed": "tag-watch", "published": "tag-ok", "retired": ""}


def _policy(policy_id: int) -> TierPolicy:
    try:
        return policies.policy_version(policy_id)
    except TierPolicy.DoesNotExist:
        raise Http404 from None


def _in_force(request: Any) -> dict[int, TierPolicy]:
    day = business_date(request.bank)
    return {p.pk: p for by_kind in policies.policies_on(day).values() for p in by_kind.values()}


@allowed("policy.read")
@require_GET
def policy_list(request: Any) -> HttpResponse:
    """Every scheme with the versions in force, under way and before."""
    services.ensure_default_policies()
    in_force = _in_force(request)
    schemes: dict[str, list[Any]] = {}
    for policy in policies.policy_versions():
        schemes.setdefault(str(policy.scheme), []).append(
            (policy, policy.pk in in_force, TONES[policy.status])
        )
    return render(
        request,
        "segmentation/policy_list.html",
        {"schemes": schemes, "may_see_segments": may(request.actor, "segmentation.read")},
    )


@allowed("policy.read")
@require_GET
def policy(request: Any, policy_id: int) -> HttpResponse:
    """A version: its tiers in words, who made it, and what may be done with it."""
    return _policy_page(request, _policy(policy_id), ProposalForm(), 200)


def _policy_page(request: Any, found: TierPolicy, form: ProposalForm, status: int) -> HttpResponse:
    staff = request.actor.staff_id
    context = {
        "policy": found,
        "tiers": [
            (
                tier,
                tier_label(tier),
                sentence(tier["condition"]) if tier["condition"] else _("everybody else"),
            )
            for tier in found.tiers
        ],
        "is_value": found.scheme.code == "value",
        "in_force": found.pk in _in_force(request),
        "tone": TONES[found.status],
        "versions": [v for v in policies.policy_versions() if v.scheme_id == found.scheme_id],
        "under_way": policies.open_version(found),
        "form": form,
        "may_see_segments": may(request.actor, "segmentation.read"),
        "may_draft": may(request.actor, "policy.draft"),
        "may_publish": may(request.actor, "policy.publish")
        and staff not in (found.proposed_by_id, found.drafted_by_id),
        "is_own": staff in (found.proposed_by_id, found.drafted_by_id),
    }
    return render(request, "segmentation/policy.html", context, status=status)


@allowed("policy.draft")
@require_http_methods(["GET", "POST"])
def policy_edit(request: Any, policy_id: int) -> HttpResponse:
    """The thresholds of the next version, beginning with those of this one."""
    base = _policy(policy_id)
    form = ThresholdForm(base, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            draft = services.draft_policy(
                request.actor, scheme=base.scheme, kind=base.kind, tiers=form.tiers(),
                note=form.cleaned_data["note"], now=timezone.now(),
            )  # fmt: skip
        except DomainError as error:
            form.take(error.fields, error.message)
        else:
            messages.success(request, _("The draft is saved."))
            return redirect("segmentation:policy", draft.pk)
    context = {"policy": base, "form": form}
    return render(request, "segmentation/policy_edit.html", context, status=422 if form.errors else 200)


@allowed("policy.draft")
@require_POST
def policy_propose(request: Any, policy_id: int) -> HttpResponse:
    """Send the draft to a second person."""
    found, form = _policy(policy_id), ProposalForm(request.POST)
    if not form.is_valid():
        return _policy_page(request, found, form, 422)
    try:
        services.propose_policy(
            request.actor, policy_id=policy_id, valid_from=form.cleaned_data["valid_from"], now=timezone.now()
        )
    except DomainError as error:
        form.add_error("valid_from" if error.fields else None, error.message)
        return _policy_page(request, found, form, error.status)
    messages.success(request, _("Sent to a second person for publication."))
    return redirect("segmentation:policy", policy_id)


def _decide(request: Any, policy_id: int, act: Callable[[], object], done: str, to: str) -> HttpResponse:
    found = _policy(policy_id)
    try:
        act()
    except DomainError as error:
        form = ProposalForm({})
        form.errors.clear()
        form.add_error(None, error.message)
        return _policy_page(request, found, form, error.status)
    messages.success(request, done)
    return redirect(to, policy_id) if to.endswith("policy") else redirect(to)


@allowed("policy.publish")
@require_POST
def policy_publish(request: Any, policy_id: int) -> HttpResponse:
    """Put it in force from its date."""
    return _decide(
        request, policy_id,
        lambda: services.publish_policy(request.actor, policy_id=policy_id, now=timezone.now()),
        _("Published."), "segmentation:policy",
    )  # fmt: skip


@allowed("policy.publish")
@require_POST
def policy_return(request: Any, policy_id: int) -> HttpResponse:
    """Give it back as a draft."""
    return _decide(
        request, policy_id,
        lambda: services.return_policy(request.actor, policy_id=policy_id),
        _("Returned as a draft."), "segmentation:policy",
    )  # fmt: skip


@allowed("policy.draft")
@require_POST
def policy_discard(request: Any, policy_id: int) -> HttpResponse:
    """Throw the draft away."""
    return _decide(
        request, policy_id,
        lambda: services.discard_draft(request.actor, policy_id=policy_id),
        _("The draft is thrown away."), "segmentation:policy-list",
    )  # fmt: skip
