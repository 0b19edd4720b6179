"""Addresses under /relationship/."""

from __future__ import annotations

from django.urls import path

from relationship.views import dashboards, home, panel, portfolio, queue

app_name = "relationship"
urlpatterns = [
    path("", portfolio.portfolio, name="portfolio"),
    path("home/", home.own_home, name="own-home"),
    path("counter/", home.counter_home, name="counter-home"),
    path("branch/", dashboards.branch, name="branch-home"),
    path("branches/<int:pk>/", dashboards.branch, name="branch"),
    path("branches/<int:pk>/risks/", dashboards.branch_risks, name="branch-risks"),
    path("bank/", dashboards.bank, name="bank-home"),
    path("queue/", queue.queue, name="queue"),
    path("queue/approve/", queue.approve, name="queue-approve"),
    path("queue/reject/", queue.reject, name="queue-reject"),
    path("queue/propose/", queue.propose, name="queue-propose"),
    path("queue/<int:pk>/manager/", queue.change, name="queue-change"),
    path("customers/<int:pk>/assignment/", panel.assignment, name="customer-panel"),
]
