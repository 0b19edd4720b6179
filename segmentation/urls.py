"""Addresses under /segmentation/."""

from __future__ import annotations

from django.urls import path

from segmentation.views import churn, effect, policies, statistics, tiers

app_name = "segmentation"
urlpatterns = [
    path("", statistics.overview, name="overview"),
    path("movers/", statistics.mover_list, name="movers"),
    path("policies/", policies.policy_list, name="policy-list"),
    path("policies/new/", policies.scheme_add, name="scheme-add"),
    path("policies/<int:policy_id>/kind/", policies.policy_kind, name="policy-kind"),
    path("policies/<int:policy_id>/", policies.policy, name="policy"),
    path("policies/<int:policy_id>/effect/", effect.policy_effect, name="policy-effect"),
    path("policies/<int:policy_id>/edit/", policies.policy_edit, name="policy-edit"),
    path("policies/<int:policy_id>/propose/", policies.policy_propose, name="policy-propose"),
    path("policies/<int:policy_id>/publish/", policies.policy_publish, name="policy-publish"),
    path("policies/<int:policy_id>/return/", policies.policy_return, name="policy-return"),
    path("policies/<int:policy_id>/discard/", policies.policy_discard, name="policy-discard"),
    path("policies/<int:policy_id>/withdraw/", policies.policy_withdraw, name="policy-withdraw"),
    path("churn/", churn.overview, name="churn"),
    path("churn/train/", churn.train, name="churn-train"),
    path("churn/<int:model_id>/", churn.model, name="churn-model"),
    path("churn/<int:model_id>/propose/", churn.propose, name="churn-propose"),
    path("churn/<int:model_id>/approve/", churn.approve, name="churn-approve"),
    path("churn/<int:model_id>/reject/", churn.reject, name="churn-reject"),
    path("customers/<int:customer_id>/churn/", churn.panel, name="churn-panel"),
    path("customers/<int:customer_id>/churn/why/", churn.why, name="churn-why"),
    path("customers/<int:customer_id>/why/", tiers.tier_why, name="tier-why"),
    path("customers/<int:customer_id>/tiers/", tiers.tier_panel, name="tier-panel"),
]
