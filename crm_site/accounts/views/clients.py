"""Machine clients: made (the secret is shown once), listed, revoked."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts import selectors, services
from crm_site.accounts.forms import ClientForm, add_refusal
from crm_site.accounts.views.once import settings_page, show_once
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed


@require_GET
@allowed("api_client.manage")
def client_list(request: Any) -> HttpResponse:
    return settings_page(request, "accounts/client_list.html", {"rows": selectors.api_clients(request.actor)})


@require_http_methods(["GET", "POST"])
@allowed("api_client.manage")
def client_add(request: Any) -> HttpResponse:
    form = ClientForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = services.create_api_client(request.actor, **form.cleaned_data)
        except DomainError as error:
            add_refusal(form, error)
        else:
            title = _(
                "Give both to the system's operators now: the secret is shown once, only its hash is kept."
            )
            lines = [("client_id", made.client_id), ("client_secret", made.client_secret)]
            return show_once(request, reverse("accounts:client-list"), title, lines)
    return settings_page(request, "accounts/client_form.html", {"form": form}, 422 if form.is_bound else 200)


@require_POST
@allowed("api_client.manage")
def client_revoke(request: Any, client_id: str) -> HttpResponse:
    try:
        services.revoke_api_client(request.actor, client_id=client_id)
    except DomainError as error:
        raise Http404 from error
    messages.success(request, _("Revoked: its tokens are refused from now on."))
    return redirect("accounts:client-list")
