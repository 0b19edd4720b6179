"""Addresses under /credit/."""

from __future__ import annotations

from django.urls import path

from credit_rating.views import lines, policies

app_name = "credit_rating"
urlpatterns = [
    path("lines/", lines.line_list, name="line-list"),
    path("lines/<int:line_id>/", lines.line, name="line"),
    path("lines/<int:line_id>/act/", lines.line_act, name="line-act"),
    path("lines/<int:line_id>/print/", lines.line_print, name="line-print"),
    path("customers/<int:customer_id>/lines/", lines.line_panel, name="line-panel"),
    path("policies/", policies.policy_list, name="policy-list"),
    path("policies/<int:policy_id>/", policies.policy, name="policy"),
    path("policies/<int:policy_id>/edit/", policies.policy_edit, name="policy-edit"),
    path("policies/<int:policy_id>/propose/", policies.policy_propose, name="policy-propose"),
    path("policies/<int:policy_id>/publish/", policies.policy_publish, name="policy-publish"),
    path("policies/<int:policy_id>/return/", policies.policy_return, name="policy-return"),
    path("policies/<int:policy_id>/discard/", policies.policy_discard, name="policy-discard"),
]
