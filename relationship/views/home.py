"""Homes by role: relationship manager, and teller."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from crm_site.accounts.selectors import bank_today, business_date, working_day
from crm_site.lib.dates import quarter_end
from crm_site.lib.guards import allowed
from customers.conditions import fact_is
from relationship import links
from relationship.selectors import home
from relationship.selectors.counter import counter
from segmentation.selectors.churn import churn_known


def greeting(name: str, hour: int) -> str:
    """Good morning until noon, good afternoon until six, then good evening."""
    if hour < 12:
        return _("Good morning, %s") % name
    return (_("Good afternoon, %s") if hour < 18 else _("Good evening, %s")) % name


@require_GET
@allowed("task.write")
def own_home(request: Any) -> HttpResponse:
    """The home of a relationship manager."""
    bank, actor = request.bank, request.actor
    now = timezone.now().astimezone(ZoneInfo(bank.timezone))
    day, date = working_day(bank), business_date(bank)
    midnight = dt.datetime.combine(bank_today(bank), dt.time(), now.tzinfo)
    changes = {change.code: change for change in home.last_night(actor, date)}
    context = {
        "greeting": greeting(request.user.name, now.hour),
        "day": day,
        "quarter_days": (quarter_end(day) - day).days,
        "portfolio": home.portfolio(actor, date),
        "today_work": home.today(actor, day, midnight),
        "changes": changes,
        "churn_known": churn_known(changes["churn"].count),
        "urls": {
            "all": links.list_url(links.ME),
            "high": links.list_url(links.ME, fact_is("value_tier", "high")),
            "mid": links.list_url(links.ME, fact_is("value_tier", "mid")),
            "general": links.list_url(links.ME, fact_is("value_tier", "general")),
            "loans": links.list_url(links.ME, fact_is("loans", "0", ">"), sort="-loans"),
        },
    }
    return render(request, "relationship/own_home.html", context)


@require_GET
@allowed("task.write")
def counter_home(request: Any) -> HttpResponse:
    """The home of a teller: search first, then what is due, what to ask and whom to congratulate."""
    bank, actor = request.bank, request.actor
    now = timezone.now().astimezone(ZoneInfo(bank.timezone))
    day = working_day(bank)
    context = {
        "greeting": greeting(request.user.name, now.hour),
        "day": day,
        "counter": counter(actor, day, business_date(bank), now),
        "all_url": links.list_url(links.ME),
    }
    return render(request, "relationship/counter_home.html", context)
