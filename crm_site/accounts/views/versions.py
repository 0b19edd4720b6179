"""A version's life as pages: proposed, published by another, returned, thrown away, withdrawn. The same for every kind of version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from crm_site.accounts.forms import ProposalForm, ReasonForm
from crm_site.accounts.selectors import bank_today
from crm_site.accounts.versions import VersionStatus
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import View, allowed


@dataclass(frozen=True, slots=True)
class VersionActs:
    """The service that a kind of version calls for each act of its life; `drafts`, `publishes`: the actions they need.

    `key`: what the services call a version's id. `from_today`: it may begin today at the earliest, so that proposing
    and publishing are told the bank's day. `asks_ground`: publishing is told why, as `ground`.
    """

    drafts: str
    publishes: str
    key: str
    propose: Callable[..., object]
    publish: Callable[..., object]
    give_back: Callable[..., object]
    discard: Callable[..., object]
    withdraw: Callable[..., object]
    from_today: bool = True
    asks_ground: bool = False

    def when(self, request: Any) -> dict[str, Any]:
        """What proposing and publishing are told of the time."""
        day = {"today": bank_today(request.bank)} if self.from_today else {}
        return {"now": timezone.now(), **day}


@dataclass(frozen=True, slots=True)
class VersionLife:
    """`page`, `listing`: names of the addresses of a version and of all of them. `load(pk)`: a version, or Http404;
    `draw(request, version, form, status)`: its page, with what was wrong in the form."""

    page: str
    listing: str
    load: Callable[[int], Any]
    draw: Callable[[Any, Any, Form, int], HttpResponse]
    acts: VersionActs

    def views(self) -> tuple[View, View, View, View, View]:
        """The pages that only take a POST: propose, publish, give back, discard, withdraw. Their address holds one id."""
        made = (
            (self.acts.drafts, self._propose),
            (self.acts.publishes, self._publish),
            (self.acts.publishes, self._give_back),
            (self.acts.drafts, self._discard),
            (self.acts.publishes, self._withdraw),
        )
        propose, publish, give_back, discard, withdraw = (allowed(action)(_post(act)) for action, act in made)
        return propose, publish, give_back, discard, withdraw

    def show(self, request: Any, pk: int) -> HttpResponse:
        """The version: what it says, who made it, and what may be done with it."""
        found = self.load(pk)
        form = ProposalForm() if found.status == VersionStatus.DRAFT else ReasonForm()
        return self.draw(request, found, form, 200)

    def _propose(self, request: Any, pk: int) -> HttpResponse:
        found, form = self.load(pk), ProposalForm(request.POST)
        if not form.is_valid():
            return self.draw(request, found, form, 422)
        try:
            told = {"valid_from": form.cleaned_data["valid_from"], **self.acts.when(request)}
            self.acts.propose(request.actor, **{self.acts.key: pk}, **told)
        except DomainError as error:
            form.add_error("valid_from" if "valid_from" in error.fields else None, error.message)
            return self.draw(request, found, form, error.status)
        messages.success(request, _("It waits for a second person now."))
        return redirect(self.page, pk)

    def _publish(self, request: Any, pk: int) -> HttpResponse:
        ground = {"ground": _reason(request)} if self.acts.asks_ground else {}
        publish = partial(self.acts.publish, **ground, **self.acts.when(request))
        return self._done(request, pk, publish, _("Published.")) or redirect(self.page, pk)

    def _give_back(self, request: Any, pk: int) -> HttpResponse:
        said = _("Returned as a draft.")
        return self._done(request, pk, self.acts.give_back, said) or redirect(self.page, pk)

    def _discard(self, request: Any, pk: int) -> HttpResponse:
        said = _("The draft is thrown away.")
        return self._done(request, pk, self.acts.discard, said) or redirect(self.listing)

    def _withdraw(self, request: Any, pk: int) -> HttpResponse:
        withdraw = partial(self.acts.withdraw, reason=_reason(request), today=bank_today(request.bank))
        return self._done(request, pk, withdraw, _("Withdrawn.")) or redirect(self.page, pk)

    def _done(self, request: Any, pk: int, act: Callable[..., object], said: str) -> HttpResponse | None:
        """None when it went well; else the page as it is now, with what was wrong."""
        self.load(pk)
        try:
            act(request.actor, **{self.acts.key: pk})
        except DomainError as error:
            form = ReasonForm(request.POST)
            form.is_valid()
            form.add_error("reason" if "reason" in error.fields else None, error.message)
            return self.draw(request, self.load(pk), form, error.status)
        messages.success(request, said)
        return None


def _reason(request: Any) -> str:
    return str(request.POST.get("reason", ""))


def _post(act: Callable[[Any, int], HttpResponse]) -> View:
    @require_POST
    def view(request: Any, **address: int) -> HttpResponse:
        (pk,) = address.values()
        return act(request, pk)

    return view
