"""How a person likes to see the pages: language and theme, kept in two cookies for a year."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

THEMES = ("auto", "light", "dark")
YEAR = 365 * 24 * 3600


@require_POST
def set_preferences(request: HttpRequest) -> HttpResponse:
    """Keep `language` and/or `theme` and go back to `next`, an address of this host (else to the home page)."""
    allowed = {"language": [code for code, _ in settings.LANGUAGES], "theme": THEMES}
    chosen = {name: request.POST[name] for name in allowed if name in request.POST}
    if not chosen or any(value not in allowed[name] for name, value in chosen.items()):
        return HttpResponseBadRequest()
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = "/"
    response = HttpResponseRedirect(target)
    for name, value in chosen.items():
        response.set_cookie(
            name, value, max_age=YEAR, samesite="Lax", secure=request.is_secure(), httponly=True
        )
    return response
