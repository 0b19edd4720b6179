"""What the shell of every page shows: bank, person, navigation, as-of, theme.

One SQL statement a page (what waits unread), and none for a partial: it is asked where the template asks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.selectors import data_is_late, working_day
from crm_site.lib.permissions import ROLE_LABELS, Actor, may
from crm_site.lib.registry import HOMES, NAV, Home, NavItem
from crm_site.work.selectors import unread

# Entries at the rail's foot: rarely used, always at the same place.
FOOT = (NavItem("settings", _("Settings"), "accounts:settings", "settings", "staff.manage"),)
# The phone's five tabs: of each the first place that exists and is allowed, as (title, address, action); an empty
# action: everybody. Who has nothing to do with credit finds his tasks there; every place of the rail is under "Me".
Tab = tuple[str, bool, tuple[tuple[Any, str, str], ...]]
TABS: tuple[Tab, ...] = (
    ("home", False, ((_("Today"), "home", ""),)),
    ("users", False, ((_("Customers"), "customers:customer-list", "customer.read"),)),
    ("plus", True, ((_("Log"), "customers:log", "interaction.write"),)),
    (
        "checklist",
        False,
        (
            (_("Decide"), "credit_rating:inbox", "credit.decide"),
            (_("Credit"), "credit_rating:inbox", "credit.prepare"),
            (_("Tasks"), "work:task-list", "task.write"),
            (_("Decide"), "accounts:grant-list", "role.decide"),
        ),
    ),
    ("user", False, ((_("Me"), "accounts:me", ""),)),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context of base.html. Lazy where it costs a query; empty outside a bank."""
    bank = getattr(request, "bank", None)
    actor: Actor | None = getattr(request, "actor", None)
    theme = request.COOKIES.get("theme", "auto")
    context: dict[str, Any] = {
        "bank": bank,
        "actor": actor,
        "theme": theme if theme in ("light", "dark", "auto") else "auto",
        "nav": [],
        "data_as_of": bank.data_as_of if bank else None,
        "data_is_late": data_is_late(bank) if bank else False,
        "business_date": bank.business_date if bank else None,
        "today": working_day(bank) if bank else None,
    }
    if actor is None:
        return context
    own = home_of(actor)
    places = (
        item for item in NAV if own is None or item.url_name != own.url_name
    )  # "Home" leads there already
    nav = _entries(actor, sorted(places, key=lambda item: item.order))
    rail = _one_active(request.path, [*nav, *_entries(actor, FOOT)])
    context["nav"], context["nav_foot"] = rail[: len(nav)], rail[len(nav) :]
    context["phone_tabs"] = _one_active(request.path, _tabs(actor))
    context["person_role"] = _role_words(actor)
    # A head office that is called like the bank need not be named twice.
    context["unit_name"] = "" if bank and actor.unit_name == bank.name else actor.unit_name
    # Customers are searched by those who may see some: an administrator is offered no door that is shut.
    context["search_url"] = _url("search") if may(actor, "customer.read") else ""
    context["bell_url"] = _url("work:inbox")
    context["bell_count"] = _once(lambda: unread(actor))
    return context


def home_of(actor: Actor) -> Home | None:
    """The home of the first of the actor's roles; None without a role."""
    return min(
        (home for home in HOMES if home.role in actor.roles), key=lambda home: home.order, default=None
    )


def _once(ask: Callable[[], Any]) -> Callable[[], Any]:
    """Asked when the template first needs it, and not again."""
    return cache(ask)


def _role_words(actor: Actor) -> str:
    """The role whose home the person has; a person with more roles is told so."""
    order = {home.role: home.order for home in HOMES}
    roles = sorted(actor.roles, key=lambda role: (order.get(role, 999), role))
    if not roles:
        return ""
    first = str(ROLE_LABELS[roles[0]])
    return first if len(roles) == 1 else f"{first} +{len(roles) - 1}"


def _url(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _entries(actor: Actor, items: Any) -> list[dict[str, Any]]:
    """What the actor may open of these, in order."""
    entries = []
    for item in items:
        is_open = not item.permission or may(actor, item.permission)
        url = _url(item.url_name) if is_open else ""
        if url:
            entries.append(
                {
                    "name": item.name,
                    "title": item.title,
                    "url": url,
                    "icon": item.icon,
                    "count": 0,
                }
            )
    return entries


def _tabs(actor: Actor) -> list[dict[str, Any]]:
    tabs = []
    for icon, main, places in TABS:
        allowed = (
            (title, u)
            for title, name, action in places
            if (not action or may(actor, action)) and (u := _url(name))
        )
        title, url = next(allowed, ("", ""))
        if url:
            tabs.append(
                {
                    "title": title,
                    "url": url,
                    "icon": icon,
                    "main": main,
                    "count": 0,
                }
            )
    return tabs


def _one_active(path: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of several entries that hold the page the one whose address says most: /customers/imports/ is no list."""
    urls = (entry["url"] for entry in entries)
    best = max(
        (url for url in urls if path == url or (url != "/" and path.startswith(url))), key=len, default=None
    )
    return [{**entry, "active": entry["url"] == best} for entry in entries]
