"""A version's life as pages: proposed, published by another, returned, thrown away. The same for every kind of version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from crm_site.accounts.forms import ProposalForm
from crm_site.lib.errors import DomainError


@dataclass(frozen=True, slots=True)
class VersionLife:
    """`page`, `listing`: names of the addresses of a version and of all of them. `load(pk)`: a version, or Http404;
    `draw(request, version, form, status)`: its page, with what was wrong in the form."""

    page: str
    listing: str
    load: Callable[[int], Any]
    draw: Callable[[Any, Any, ProposalForm, int], HttpResponse]

    def show(self, request: Any, pk: int) -> HttpResponse:
        """The version: what it says, who made it, and what may be done with it."""
        return self.draw(request, self.load(pk), ProposalForm(), 200)

    def propose(self, request: Any, pk: int, act: Callable[[dt.date], object]) -> HttpResponse:
        """Send a draft to a second person; `act` gets the day from which it is to be in force."""
        found, form = self.load(pk), ProposalForm(request.POST)
        if not form.is_valid():
            return self.draw(request, found, form, 422)
        try:
            act(form.cleaned_data["valid_from"])
        except DomainError as error:
            form.add_error("valid_from" if "valid_from" in error.fields else None, error.message)
            return self.draw(request, found, form, error.status)
        messages.success(request, _("It waits for a second person now."))
        return redirect(self.page, pk)

    def publish(self, request: Any, pk: int, act: Callable[[], object]) -> HttpResponse:
        """Put a proposal in force from its date."""
        return self._done(request, pk, act, _("Published.")) or redirect(self.page, pk)

    def give_back(self, request: Any, pk: int, act: Callable[[], object]) -> HttpResponse:
        """Give a proposal back to who drafted it."""
        return self._done(request, pk, act, _("Returned as a draft.")) or redirect(self.page, pk)

    def discard(self, request: Any, pk: int, act: Callable[[], object]) -> HttpResponse:
        """Throw a draft away."""
        return self._done(request, pk, act, _("The draft is thrown away.")) or redirect(self.listing)

    def _done(self, request: Any, pk: int, act: Callable[[], object], said: str) -> HttpResponse | None:
        """None when it went well; else the page as it is now, with what was wrong."""
        self.load(pk)
        try:
            act()
        except DomainError as error:
            form = ProposalForm({})
            form.errors.clear()
            form.add_error(None, error.message)
            return self.draw(request, self.load(pk), form, error.status)
        messages.success(request, said)
        return None
