"""Every address of the site (contract.md). Each new URL has its row in tests/architecture/permission_matrix.py."""

from __future__ import annotations

from django.urls import include, path

from crm_site.accounts import library_urls
from crm_site.composition import homes, views
from crm_site.composition.metrics import metrics
from crm_site.lib.preferences import set_preferences
from customers.views.search import search

handler400 = views.bad_request
handler404 = views.not_found
handler500 = views.failed

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("administration/", homes.administrator_home, name="administrator-home"),
    path("platform/", homes.operator_home, name="operator-home"),
    path("preferences/", set_preferences, name="preferences"),
    path("accounts/", include(library_urls.people)),
    path("", include(library_urls.machines)),
    path("settings/", include("crm_site.accounts.urls")),
    path("banks/", include("crm_site.accounts.bank_urls")),
    path("api/v1/", include("crm_site.composition.api_urls")),
    path("search/", search, name="search"),
    path("customers/", include("customers.urls")),
    path("credit/", include("credit_rating.urls")),
    path("segmentation/", include("segmentation.urls")),
    path("relationship/", include("relationship.urls")),
    path("jobs/", include("crm_site.jobs.urls")),
    path("", include("crm_site.work.urls")),
    path("audit/", include("crm_site.audit.urls")),
]
