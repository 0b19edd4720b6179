"""Guards of pages: signed in, and allowed to. Not yours: 404 by the queryset; yours but not allowed: 403."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse, HttpResponseNotAllowed

from crm_site.lib.permissions import ACTIONS, require

View = Callable[..., HttpResponse]


PAGE_METHODS = ("GET", "HEAD", "POST")


def allowed(action: str) -> Callable[[View], View]:
    """Sends strangers to sign-in and answers 403 to a person who may not do `action` anywhere.

    A misspelt action raises at import.
    """
    ACTIONS[action]

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in PAGE_METHODS:
                return HttpResponseNotAllowed(PAGE_METHODS)
            if request.actor is None:
                return redirect_to_login(request.get_full_path())
            require(request.actor, action)
            return view(request, *args, **kwargs)

        return guarded

    return guard


def signed_in(view: View) -> View:
    """Any person of this bank."""

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in PAGE_METHODS:
            return HttpResponseNotAllowed(PAGE_METHODS)
        if request.actor is None:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    return guarded
