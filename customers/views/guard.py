"""What every page here starts with: who asks, may they, and which customer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse

from crm_site.accounts.selectors import business_date
from crm_site.lib.permissions import require
from customers.models import Customer
from customers.selectors.single import seen_customer

View = Callable[..., HttpResponse]


def page(action: str) -> Callable[[View], View]:
    """Only for a signed-in person who may do the action: others sign in first, or get 403."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.actor is None:
                raise PermissionDenied(action)
            require(request.actor, action)
            return view(request, *args, **kwargs)

        return login_required(guarded)

    return wrap


def get_customer(request: Any, customer_id: int) -> Customer:
    """The customer of an address; 404 for one that does not exist or that the person does not see."""
    try:
        return seen_customer(request.actor, customer_id)
    except Customer.DoesNotExist:
        raise Http404 from None


def as_of(request: Any) -> dt.date:
    """The business date that the page's figures are of."""
    return business_date(request.bank)


def is_partial(request: Any) -> bool:
    """Whether htmx asks for the partial alone."""
    return bool(request.htmx) and not request.htmx.boosted and not request.htmx.history_restore_request
