from __future__ import annotations

from django.urls import path

from crm_site.jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.run_list, name="run-list"),
    path("start/", views.run_start, name="run-start"),
    path("<int:run_id>/", views.run_detail, name="run-detail"),
    path("<int:run_id>/retry/", views.run_retry, name="run-retry"),
    path("<int:run_id>/steps/<slug:step_name>/", views.step_chunks, name="step-chunks"),
]
