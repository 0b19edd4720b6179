"""What is done to scorecards: made or developed by one person, validated and published by another (C1)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from credit_rating.default_cards import NAME, default_body
from credit_rating.engine.cards import developed_card
from credit_rating.models import CardOrigin, CreditKind, Scorecard, WorkStatus
from credit_rating.models.samples import DEVELOP
from credit_rating.policies.shapes import Body, PolicyFault, read
from credit_rating.scorecards import shape_of
from credit_rating.services.policies import DRAFT, FIRST_DAY, PUBLISH, newest_day
from credit_rating.services.trials import said_by, try_proposal
from crm_site.accounts import versions
from crm_site.accounts.models import Bank
from crm_site.accounts.versions import OPEN, VersionError, VersionStatus
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank


def ensure_default_scorecards(now: dt.datetime) -> None:
    """Give the active bank the standard card of every kind that it has no card of."""
    known = set(Scorecard.objects.values_list("kind", flat=True).distinct())
    Scorecard.objects.bulk_create(
        [
            Scorecard(
                kind=kind, name=NAME, version=1, origin=CardOrigin.EXPERT, body=default_body(kind),
                valid_from=FIRST_DAY, founding=True, status=VersionStatus.PUBLISHED, drafted_at=now, published_at=now,
            )
            for kind in CreditKind
            if kind.value not in known
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def draft_expert_card(
    actor: Actor, *, kind: str, name: str, body: Mapping[str, Any], note: str, now: dt.datetime
) -> Scorecard:
    """Write the next version of an expert's card, or rewrite the draft that is open.

    Raises PolicyFault naming each wrong cell, VersionError where the line holds a developed draft, Conflict when a
    version waits for its second person.
    """
    require(actor, DRAFT)
    if kind not in CreditKind.values or not name.strip():
        raise VersionError(_("A scorecard has a kind and a name."), code="scorecard_line")
    read(shape_of(kind, CardOrigin.EXPERT), body)
    return versions.draft(
        actor, Scorecard, {"kind": kind, "name": name.strip()}, now=now, origin=CardOrigin.EXPERT, body=dict(body),
        card=None, record=None, note=note,
    )  # fmt: skip


def draft_developed_card(
    actor: Actor, *, kind: str, name: str, card: Mapping[str, Any], record: Mapping[str, Any],
    sources: Mapping[str, str], now: dt.datetime,
) -> Scorecard:  # fmt: skip
    """Keep a developed card (engine.scorecard.Scorecard.as_json) as a draft with the record of its development.

    `sources`: factor -> code of credit_rating.factors; a factor without one is asked on the rating form.
    """
    require(actor, DEVELOP)
    refuse_taken_line(kind, name)
    names = [factor.code for factor in developed_card(card).factors]
    rows = [
        {"code": n, "label_zh": n, "label_en": n, "source": sources.get(n, "answer"), "group": "quantitative"}
        for n in names
    ]
    body = {"params": {"title_zh": name, "title_en": name}, "tables": {"factors": rows}}
    _check_developed(read(shape_of(kind, CardOrigin.DEVELOPED), body), card)
    return versions.draft(
        actor, Scorecard, {"kind": kind, "name": name.strip()}, now=now, origin=CardOrigin.DEVELOPED, body=body,
        card=dict(card), record=dict(record), note=str(record.get("sample", ""))[:400],
    )  # fmt: skip


def refuse_taken_line(kind: str, name: str) -> None:
    """Raise VersionError or Conflict, naming the field, unless a card developed now may be the line's draft.

    A developed draft is replaced by the next one; what experts have written is never overwritten.
    """
    if kind not in CreditKind.values or not name.strip():
        raise VersionError(_("A scorecard has a kind and a name."), code="scorecard_line")
    waiting = Scorecard.objects.filter(kind=kind, name=name.strip(), status__in=OPEN).first()
    if waiting is None or (waiting.status == VersionStatus.DRAFT and waiting.origin == CardOrigin.DEVELOPED):
        return
    if waiting.status == VersionStatus.DRAFT:
        message = (
            _("Version %s of this name is a draft made by experts: choose another name.") % waiting.version
        )
    else:
        message = _("Version %s of this name waits for its second person.") % waiting.version
    raise Conflict(message, code="scorecard_under_way", fields={"name": message})


def name_developed_card(
    actor: Actor, *, scorecard_id: int, body: Mapping[str, Any], note: str, now: dt.datetime
) -> Scorecard:
    """Say what the factors of a developed draft are called and where their values come from. Its points stay.

    Raises PolicyFault naming each wrong cell, Conflict when it is no draft any more.
    """
    require(actor, DRAFT)
    found = versions.locked(Scorecard, scorecard_id, VersionStatus.DRAFT)
    _check_developed(read(shape_of(found.kind, CardOrigin.DEVELOPED), body), found.card or {})
    return versions.draft(actor, Scorecard, found.line, now=now, body=dict(body), note=note)


def _check_developed(body: Body, card: Mapping[str, Any]) -> None:
    named = [row["code"] for row in body.tables["factors"]]
    if sorted(named) != sorted(factor.code for factor in developed_card(card).factors):
        message = _("The factors are those of the sample: none is added, renamed or taken away.")
        raise PolicyFault(message, code="scorecard_factors", fields={"factors": message})


def propose_scorecard(
    actor: Actor, *, scorecard_id: int, valid_from: dt.date, today: dt.date, now: dt.datetime
) -> Scorecard:
    """Hand a draft to a second person. It may begin today at the earliest: ratings are never re-made.

    An expert's card is tried on the bank's ratings for that person (services.trials)."""
    card = versions.propose(
        actor, Scorecard, scorecard_id, action=DRAFT, valid_from=valid_from, now=now, earliest=today
    )
    try_proposal(actor, card, now=now)
    return card


LEAST_GROUND = 10


def publish_scorecard(
    actor: Actor, *, scorecard_id: int, today: dt.date, now: dt.datetime, ground: str = ""
) -> Scorecard:
    """Put a proposal in force; one whose date has passed while it waited begins today.

    `ground`: why it is published though the bank's outcomes measure nothing; kept with the card. VersionError, naming
    "reason", for an expert's card without one where outcomes are too few or the trial broke off, and for one that has
    not been tried.
    """
    require(actor, PUBLISH)
    waiting = versions.locked(Scorecard, scorecard_id, VersionStatus.PROPOSED)
    if versions.is_second_person(actor, waiting) and waiting.origin == CardOrigin.EXPERT:
        _check_measured(waiting, ground.strip())
    card = versions.publish(actor, Scorecard, scorecard_id, action=PUBLISH, now=now, earliest=today)
    card.ground = ground.strip()[:400]
    card.save(update_fields=["ground"])
    return card


def _check_measured(card: Scorecard, ground: str) -> None:
    tried = card.trials.filter(status=WorkStatus.DONE, content_hash=said_by(card)).first()
    newest = card.trials.first()
    broke = (
        newest is not None and newest.status == WorkStatus.FAILED
    )  # what cannot be tried needs a ground as well
    has_night = Bank.objects.filter(pk=require_bank(), business_date__isnull=False).exists()
    if tried is None and has_night and not broke:
        raise VersionError(
            _("It has not been tried on the bank's ratings yet: the trial comes first."), code="not_tried"
        )
    if (tried is None or not tried.result["outcomes"]["enough"]) and len(ground) < LEAST_GROUND:
        message = _("Too few outcomes measure this card: say why it is published all the same.")
        raise VersionError(message, code="ground", fields={"reason": message})


def return_scorecard(actor: Actor, *, scorecard_id: int) -> Scorecard:
    """Give a proposal back as a draft."""
    return versions.give_back(actor, Scorecard, scorecard_id, action=PUBLISH)


def discard_scorecard(actor: Actor, *, scorecard_id: int) -> None:
    """Throw a draft away."""
    versions.discard(actor, Scorecard, scorecard_id, action=DRAFT)


def withdraw_scorecard(actor: Actor, *, scorecard_id: int, reason: str, today: dt.date) -> Scorecard:
    """Take back a published card that has not begun."""
    day = newest_day(today)
    return versions.withdraw(actor, Scorecard, scorecard_id, action=PUBLISH, reason=reason, day=day)
