"""Secrets that are shown once: kept sealed in the session from the writing request to the next page, and then gone."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from crm_site.accounts.banks import vault
from crm_site.lib.crypto import Unreadable

_PLACE = "session.shown_once"


def show_once(request: Any, url: str, title: Any, lines: list[tuple[Any, str]]) -> HttpResponse:
    """Redirect to `url`, whose page shows the title and the lines (label, value) this one time."""
    said = json.dumps({"title": str(title), "lines": [(str(label), value) for label, value in lines]})
    sealed = vault(request.bank).encrypt(said, place=_PLACE, row=str(request.actor.staff_id))
    request.session["shown_once"] = base64.b64encode(sealed).decode()
    return HttpResponseRedirect(url)


def settings_page(request: Any, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """A settings page, with what is to be shown this one time. Never kept by a cache when it is."""
    sealed, once = request.session.pop("shown_once", ""), None
    if sealed:
        try:
            row = str(request.actor.staff_id)
            once = json.loads(vault(request.bank).decrypt(base64.b64decode(sealed), place=_PLACE, row=row))
        except (Unreadable, ValueError):
            once = None
    response = render(request, template, {**context, "once": once}, status=status)
    if once:
        response.headers["Cache-Control"] = "no-store"
    return response
