"""The nightly pipeline in order. Each app registers its steps in AppConfig.ready(); here is the whole of it.

feeds -> balances -> arrears -> classes -> tiers -> churn -> placement -> lines -> ratings -> cases -> proposals ->
revaluations -> warnings -> worklists -> summaries -> statistics -> overview

What makes a task for a customer's manager comes after placement, which may give the customer another one.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from crm_site.lib.registry import Pipeline, add_pipeline
from customers.models import BalanceChange

NIGHTLY = (
    "feeds",
    "balances",
    "arrears",
    "classes",
    "tiers",
    "churn",
    "placement",
    "lines",
    "ratings",
    "cases",
    "proposals",
    "revaluations",
    "warnings",
    "reviews",
    "worklists",
    "summaries",
    "statistics",
    "overview",
)


def newest_balance_date() -> dt.date | None:
    """What the very first night of a bank is run for: the newest day any of its balances changed."""
    return BalanceChange.objects.aggregate(newest=Max("date"))["newest"]


def register() -> None:
    """Make the night known to crm_site.jobs. Called when every app is loaded."""
    add_pipeline(
        Pipeline("nightly", _("Night run"), serial=True, closes_day=True, first_date=newest_balance_date)
    )
