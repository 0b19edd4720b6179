"""Addresses of REST API v1. A room's own addresses stand in its api_urls; here is the whole of it."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from credit_rating import api as credit
from crm_site.jobs import api as jobs
from customers import api as customers
from customers.ingest import api as ingest
from relationship import api as relationship
from segmentation import api as segmentation

urlpatterns = [
    path("customers", customers.CustomerListView.as_view(), name="api-customer-list"),
    # A number may hold a slash (sent as %2F, which arrives here as one).
    path("customers/<path:number>/view", customers.CustomerSingleView.as_view(), name="api-customer-view"),
    path("customers/<path:number>", customers.CustomerDetailView.as_view(), name="api-customer-detail"),
    path("interactions", customers.InteractionListView.as_view(), name="api-interaction-list"),
    path("ingest/<int:batch_id>", ingest.BatchView.as_view(), name="api-ingest-state"),
    path("ingest/<int:batch_id>/errors", ingest.BatchErrorsView.as_view(), name="api-ingest-errors"),
    path("ingest/<str:feed>", ingest.IngestView.as_view(), name="api-ingest"),
    path("scores", segmentation.ScoreListView.as_view(), name="api-score-list"),
    path("tiers", segmentation.TierListView.as_view(), name="api-tier-list"),
    path("assignments", relationship.AssignmentListView.as_view(), name="api-assignment-list"),
    path("ratings", credit.RatingListView.as_view(), name="api-rating-list"),
    path("lines", credit.LineListView.as_view(), name="api-line-list"),
    path("lines/<int:pk>", credit.LineView.as_view(), name="api-line-detail"),
    path("lines/<int:pk>/check", credit.CheckView.as_view(), name="api-line-check"),
    path("lines/<int:pk>/reservations", credit.ReserveView.as_view(), name="api-line-reserve"),
    path("lines/<int:pk>/repayments", credit.RepayView.as_view(), name="api-line-repay"),
    path("reservations/<int:pk>/commit", credit.CommitView.as_view(), name="api-reservation-commit"),
    path("reservations/<int:pk>/release", credit.ReleaseView.as_view(), name="api-reservation-release"),
    path("jobs", jobs.RunListView.as_view(), name="api-job-list"),
    path("jobs/<int:run_id>", jobs.RunView.as_view(), name="api-job-detail"),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api-schema", template_name="api_docs.html"),
        name="api-docs",
    ),
]
