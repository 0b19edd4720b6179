"""Addresses under /credit/."""

from __future__ import annotations

from django.urls import path

from credit_rating.views import (
    calculations,
    case,
    case_desk,
    case_making,
    cases,
    collection,
    guarantees,
    lines,
    overview,
    policies,
    ratings,
    registers,
    samples,
    scorecards,
    statements,
    warnings,
)

app_name = "credit_rating"
urlpatterns = [
    path("", case_desk.inbox, name="inbox"),
    path("dashboard/", overview.dashboard, name="dashboard"),
    path("cases/waiting/", overview.waiting, name="waiting"),
    path("cases/batch/", case_desk.case_batch, name="case-batch"),
    path("cases/<int:case_id>/", cases.case, name="case"),
    path("cases/<int:case_id>/decide/", cases.case_decide, name="case-decide"),
    path("cases/<int:case_id>/edit/", case_making.case_edit, name="case-edit"),
    path("cases/<int:case_id>/act/", cases.case_act, name="case-act"),
    path("cases/<int:case_id>/print/", cases.case_print, name="case-print"),
    path("conditions/<int:condition_id>/evidence/", cases.condition_evidence, name="condition-evidence"),
    path("conditions/<int:condition_id>/accept/", cases.condition_accept, name="condition-accept"),
    path("delegations/", case_desk.delegations, name="delegations"),
    path("authority/", case_desk.authority, name="authority"),
    path("customers/<int:customer_id>/cases/new/", case_making.case_new, name="case-new"),
    path("registers/relations/", case_desk.relation_add, name="relation-add"),
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
    # by what is rated, and ratings
    path("scorecards/", scorecards.scorecard_list, name="scorecard-list"),
    path("scorecards/<int:scorecard_id>/", scorecards.scorecard, name="scorecard"),
    path("scorecards/<int:scorecard_id>/edit/", scorecards.scorecard_edit, name="scorecard-edit"),
    path("scorecards/<int:scorecard_id>/propose/", scorecards.scorecard_propose, name="scorecard-propose"),
    path("scorecards/<int:scorecard_id>/publish/", scorecards.scorecard_publish, name="scorecard-publish"),
    path("scorecards/<int:scorecard_id>/return/", scorecards.scorecard_return, name="scorecard-return"),
    path("scorecards/<int:scorecard_id>/discard/", scorecards.scorecard_discard, name="scorecard-discard"),
    # what cards are developed from
    path("samples/", samples.sample_list, name="sample-list"),
    path("samples/new/", samples.sample_new, name="sample-new"),
    path("samples/outcomes/", samples.sample_outcomes, name="sample-outcomes"),
    path("samples/<int:sample_id>/", samples.sample, name="sample"),
    path("samples/<int:sample_id>/progress/", samples.sample_progress, name="sample-progress"),
    path("samples/<int:sample_id>/develop/", samples.sample_develop, name="sample-develop"),
    path("samples/<int:sample_id>/download/", samples.sample_download, name="sample-download"),
    path("samples/<int:sample_id>/delete/", samples.sample_delete, name="sample-delete"),
    path("developments/<int:development_id>/", samples.development, name="development"),
    path(
        "developments/<int:development_id>/progress/",
        samples.development_progress,
        name="development-progress",
    ),
    path("ratings/", ratings.rating_list, name="rating-list"),
    path("ratings/<int:rating_id>/", ratings.rating, name="rating"),
    path("ratings/<int:rating_id>/submit/", ratings.rating_submit, name="rating-submit"),
    path("ratings/<int:rating_id>/decide/", ratings.rating_decide, name="rating-decide"),
    path("ratings/<int:rating_id>/print/", ratings.rating_print, name="rating-print"),
    path("customers/<int:customer_id>/rating/", ratings.rating_form, name="rating-form"),
    path("customers/<int:customer_id>/rating/panel/", ratings.rating_panel, name="rating-panel"),
    # the credit file of a customer
    path("customers/<int:customer_id>/file/", case.panel_file, name="panel-file"),
    path("customers/<int:customer_id>/collection/", collection.collection_form, name="collection"),
    path("customers/<int:customer_id>/statements/", statements.statement_list, name="statements"),
    path(
        "customers/<int:customer_id>/statements/upload/", statements.statement_upload, name="statement-upload"
    ),
    path(
        "customers/<int:customer_id>/statements/<int:year>/", statements.statement_edit, name="statement-edit"
    ),
    path("customers/<int:customer_id>/guarantees/", guarantees.guarantee_list, name="guarantees"),
    path("customers/<int:customer_id>/guarantees/thing/", guarantees.thing_add, name="thing-add"),
    path("customers/<int:customer_id>/guarantees/promise/", guarantees.promise_add, name="promise-add"),
    path("guarantees/<int:guarantee_id>/value/", guarantees.guarantee_value, name="guarantee-value"),
    path("guarantees/<int:guarantee_id>/in-force/", guarantees.guarantee_in_force, name="guarantee-in-force"),
    path("guarantees/<int:guarantee_id>/withdraw/", guarantees.guarantee_withdraw, name="guarantee-withdraw"),
    path("guarantees/<int:guarantee_id>/release/", guarantees.guarantee_release, name="guarantee-release"),
    path("customers/<int:customer_id>/calculation/", calculations.calculation_form, name="calculation-form"),
    path("calculations/<int:calculation_id>/", calculations.calculation, name="calculation"),
    path(
        "calculations/<int:calculation_id>/print/", calculations.calculation_print, name="calculation-print"
    ),
    # early warning and five-level classes
    path("warnings/", warnings.warning_list, name="warning-list"),
    path("warnings/<int:signal_id>/", warnings.warning, name="warning"),
    path("warnings/<int:signal_id>/act/", warnings.warning_act, name="warning-act"),
    path("customers/<int:customer_id>/warnings/", warnings.warning_panel, name="warning-panel"),
    path("classes/", warnings.class_list, name="class-list"),
    path("customers/<int:customer_id>/classes/", warnings.classes, name="classes"),
    path("loans/<int:loan_id>/class/", warnings.class_lower, name="class-lower"),
    # what concentration is measured by
    path("registers/", registers.registers, name="registers"),
    path("registers/capital/", registers.capital_add, name="capital-add"),
    path("registers/related/", registers.related_add, name="related-add"),
    path("registers/related/<int:entry_id>/end/", registers.related_end, name="related-end"),
]
