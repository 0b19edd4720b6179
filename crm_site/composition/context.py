"""What the shell of every page shows: bank, person, navigation, as-of, theme."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from crm_site.accounts.selectors import working_day
from crm_site.lib.permissions import may
from crm_site.lib.registry import NAV
from crm_site.work.selectors import unread


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context of base.html. Lazy where it costs a query; empty outside a bank."""
    bank = getattr(request, "bank", None)
    actor = getattr(request, "actor", None)
    theme = request.COOKIES.get("theme", "auto")
    context: dict[str, Any] = {
        "bank": bank,
        "actor": actor,
        "theme": theme if theme in ("light", "dark", "auto") else "auto",
        "nav": [],
        "data_as_of": bank.data_as_of if bank else None,
        "business_date": bank.business_date if bank else None,
        "today": working_day(bank) if bank else None,
    }
    if actor is not None:
        context["bell_url"] = reverse("work:inbox")
        context["bell_count"] = 0 if request.headers.get("HX-Request") else unread(actor)
        for item in sorted(NAV, key=lambda i: i.order):
            if not may(actor, item.permission):
                continue
            try:
                url = reverse(item.url_name)
            except NoReverseMatch:
                continue
            active = request.path == url or (url != "/" and request.path.startswith(url))
            context["nav"].append(
                {
                    "name": item.name,
                    "title": item.title,
                    "url": url,
                    "icon": item.icon,
                    "active": active,
                    "count": 0,
                }
            )
    return context
