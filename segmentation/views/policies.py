"""Tier policies: the versions, a draft, its proposal, and its publication by a second person."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts.selectors import business_date
from crm_site.accounts.versions import differences, states
from crm_site.accounts.views.versions import VersionActs, VersionLife
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed
from crm_site.lib.permissions import may
from customers.conditions import sentence
from customers.links import urls_for_condition
from segmentation import services
from segmentation.forms import KindForm, SchemeForm, ThresholdForm
from segmentation.models import TierPolicy
from segmentation.models.tiers import SCHEME_LABELS, tier_label
from segmentation.own_schemes import standing_in
from segmentation.selectors import policies
from segmentation.selectors.effect import is_ahead


def find_policy(policy_id: int) -> TierPolicy:
    """A version, or Http404."""
    try:
        return policies.policy_version(policy_id)
    except TierPolicy.DoesNotExist:
        raise Http404 from None


@allowed("policy.read")
@require_GET
def policy_list(request: Any) -> HttpResponse:
    """Every scheme with the versions in force, under way and before."""
    services.ensure_default_policies()
    versions = policies.policy_versions()
    stands = states(versions, business_date(request.bank))
    schemes: dict[str, list[Any]] = {}
    for policy in versions:
        schemes.setdefault(str(policy.scheme), []).append((policy, stands[policy.pk]))
    context = {
        "schemes": schemes,
        "may_draft": may(request.actor, "policy.draft"),
        "may_see_segments": may(request.actor, "segmentation.read"),
    }
    return render(request, "segmentation/policy_list.html", context)


@allowed("policy.draft")
@require_http_methods(["GET", "POST"])
def scheme_add(request: Any) -> HttpResponse:
    """A scheme of the bank's own: name and tiers; the conditions of its first draft come next."""
    form = SchemeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                draft = services.create_scheme(request.actor, now=timezone.now(), **form.cleaned_data)
        except DomainError as error:
            for name, text in error.fields.items() or [("", error.message)]:
                form.add_error(name or None, text)
        else:
            messages.success(request, _("The scheme is drafted: say who belongs into each tier."))
            return redirect("segmentation:policy-edit", draft.pk)
    return render(
        request, "segmentation/scheme_form.html", {"form": form}, status=422 if form.errors else 200
    )


@allowed("policy.draft")
@require_POST
def policy_kind(request: Any, policy_id: int) -> HttpResponse:
    """Begin a policy of its own for one kind of customer."""
    base, form = find_policy(policy_id), KindForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a kind of customer."))
        return redirect("segmentation:policy", base.pk)
    try:
        draft = services.draft_for_kind(
            request.actor, policy_id=base.pk, kind=form.cleaned_data["kind"], now=timezone.now()
        )
    except DomainError as error:
        messages.error(request, error.message)
        return redirect("segmentation:policy", base.pk)
    return redirect("segmentation:policy-edit", draft.pk)


@allowed("policy.read")
@require_GET
def policy(request: Any, policy_id: int) -> HttpResponse:
    """A version: its tiers in words, who made it, and what may be done with it."""
    return LIFE.show(request, policy_id)


def _words(tier: dict[str, Any], *, is_last: bool) -> str:
    if tier["condition"]:
        return sentence(tier["condition"])
    return _("everybody else") if is_last else _("not said yet")


def _said(found: TierPolicy) -> dict[str, str]:
    """{tier: who belongs into it} in words."""
    return {tier_label(tier): _words(tier, is_last=tier is found.tiers[-1]) for tier in found.tiers}


def _policy_page(request: Any, found: TierPolicy, form: Form, status: int) -> HttpResponse:
    staff = request.actor.staff_id
    is_own_scheme = found.scheme.code not in SCHEME_LABELS
    day = business_date(request.bank)
    versions = [v for v in policies.policy_versions() if v.scheme_id == found.scheme_id]
    stands, before = states(versions, day), policies.before(found, day)
    counts = policies.tier_counts(request.actor, found.scheme.code) if is_own_scheme else {}
    sees_customers = may(request.actor, "customer.read")
    context = {
        "policy": found,
        "tiers": [
            (
                tier,
                tier_label(tier),
                _words(tier, is_last=tier is found.tiers[-1]),
                counts.get(tier["rank"], 0),
                urls_for_condition(standing_in(found.scheme.code, tier["rank"])) if sees_customers else "",
            )
            for tier in found.tiers
        ],
        "is_counted": bool(counts),
        "free_kinds": policies.kinds_without_policy(found)
        if not found.kind and found.status == "published"
        else [],
        "is_value": found.scheme.code == "value",
        "state": stands[found.pk],
        "is_ahead": is_ahead(found, stands[found.pk]),
        "before": before,
        "changes": differences(_said(before), _said(found)) if before else [],
        "versions": [(v, stands[v.pk]) for v in versions],
        "under_way": policies.open_version(found),
        "form": form,
        "may_withdraw": may(request.actor, "policy.publish"),
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
    base = find_policy(policy_id)
    form = ThresholdForm(base, request.actor, request.POST if request.method == "POST" else None)
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


LIFE = VersionLife(
    "segmentation:policy", "segmentation:policy-list", find_policy, _policy_page,
    VersionActs(
        services.DRAFT, services.PUBLISH, "policy_id", services.propose_policy, services.publish_policy, services.return_policy,
        services.discard_draft, services.withdraw_policy, from_today=False,
    ),
)  # fmt: skip
policy_propose, policy_publish, policy_return, policy_discard, policy_withdraw = LIFE.views()
