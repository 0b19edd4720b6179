"""The platform's banks, on the platform's host alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm_site.accounts import selectors, services
from crm_site.accounts.forms import BankForm, add_refusal
from crm_site.accounts.models import Bank
from crm_site.accounts.views.once import settings_page, show_once
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed


def _on_platform(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """On a bank's host these addresses do not exist, whoever asks."""

    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.bank.is_platform:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@require_GET
@allowed("bank.manage")
@_on_platform
def bank_list(request: Any) -> HttpResponse:
    return settings_page(request, "accounts/bank_list.html", {"banks": selectors.bank_list(request.actor)})


@require_http_methods(["GET", "POST"])
@allowed("bank.manage")
@_on_platform
def bank_add(request: Any) -> HttpResponse:
    form = BankForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = services.create_bank(request.actor, now=timezone.now(), **form.cleaned_data)
        except DomainError as error:
            add_refusal(form, error)
        else:
            title = _(
                "Hand this to the bank's first administrator. The password is shown once and expires after 72 hours."
            )
            lines = [
                (_("Host name"), made.bank.host),
                (_("Staff number"), made.login),
                (_("One-time password"), made.password),
            ]
            return show_once(request, reverse("banks:bank-list"), title, lines)
    return settings_page(request, "accounts/bank_form.html", {"form": form}, 422 if form.is_bound else 200)


@require_POST
@allowed("bank.manage")
@_on_platform
def bank_close(request: Any, bank_id: int) -> HttpResponse:
    return _switched(
        request, bank_id, services.close_bank, _("%s is closed: nobody signs in, its systems are refused.")
    )


@require_POST
@allowed("bank.manage")
@_on_platform
def bank_reopen(request: Any, bank_id: int) -> HttpResponse:
    return _switched(request, bank_id, services.reopen_bank, _("%s is open again."))


def _switched(request: Any, bank_id: int, service: Any, said: str) -> HttpResponse:
    if not Bank.objects.filter(pk=bank_id).exists():
        raise Http404
    try:
        messages.success(request, said % service(request.actor, bank_id=bank_id, now=timezone.now()).name)
    except DomainError as error:
        messages.error(request, error.message)
    return redirect("banks:bank-list")
