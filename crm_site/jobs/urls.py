from __future__ import annotations

from django.urls import path

from crm_site.jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.run_list, name="run-list"),
    path("start/", views.run_start, name="run-start"),
    path("<int:pk>/", views.run_detail, name="run-detail"),
    path("<int:pk>/retry/", views.run_retry, name="run-retry"),
    path("<int:pk>/cancel/", views.run_cancel, name="run-cancel"),
    path("<int:pk>/steps/<slug:step_name>/", views.step_chunks, name="step-chunks"),
]
