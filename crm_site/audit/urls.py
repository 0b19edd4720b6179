from __future__ import annotations

from django.urls import path

from crm_site.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.entry_list, name="entry-list"),
    path("home/", views.auditor_home, name="auditor-home"),
    path("check/", views.check, name="check"),
    path("<int:entry_id>/", views.entry_detail, name="entry-detail"),
]
