"""What is done to credit policies: drafted by one, published by another, in force from a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from credit_rating.models import CreditPolicy
from credit_rating.policies import SHAPES, read
from credit_rating.services.trials import try_proposal
from crm_site.accounts import versions
from crm_site.accounts.models import Bank
from crm_site.accounts.versions import VersionError, VersionStatus
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank

FIRST_DAY = dt.date(1900, 1, 1)
DRAFT, PUBLISH = "credit_policy.draft", "credit_policy.publish"


def ensure_default_policies(now: dt.datetime) -> None:
    """Give the active bank the default policy of every subject that it has none of."""
    known = set(CreditPolicy.objects.values_list("subject", flat=True).distinct())
    CreditPolicy.objects.bulk_create(
        [
            CreditPolicy(
                subject=shape.subject, version=1, body=shape.default(""), valid_from=FIRST_DAY, founding=True,
                status=VersionStatus.PUBLISHED, drafted_at=now, published_at=now,
            )
            for shape in SHAPES
            if shape.subject not in known
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def draft_policy(
    actor: Actor, *, subject: str, kind: str, body: Mapping[str, Any], note: str, now: dt.datetime
) -> CreditPolicy:
    """Write the next version of a policy, or rewrite the draft that is open.

    Raises PolicyFault naming each wrong cell, VersionError for a kind where the subject knows none, Conflict when a
    version waits for its second person.
    """
    require(actor, DRAFT)
    shape = SHAPES[subject]
    if kind and not shape.by_kind:
        raise VersionError(_("This policy is one for all kinds of customers."), code="policy_kind")
    read(shape, body)
    return versions.draft(
        actor, CreditPolicy, {"subject": subject, "kind": kind}, now=now, body=dict(body), note=note
    )


def propose_policy(
    actor: Actor, *, policy_id: int, valid_from: dt.date, today: dt.date, now: dt.datetime
) -> CreditPolicy:
    """Hand a draft to a second person. It may begin today at the earliest: decisions are never re-made.

    Rules of early warning are tried on the book for that person (services.trials)."""
    version = versions.propose(
        actor, CreditPolicy, policy_id, action=DRAFT, valid_from=valid_from, now=now, earliest=today
    )
    try_proposal(actor, version, now=now)
    return version


def publish_policy(actor: Actor, *, policy_id: int, today: dt.date, now: dt.datetime) -> CreditPolicy:
    """Put a proposal in force; one whose date has passed while it waited begins today."""
    return versions.publish(actor, CreditPolicy, policy_id, action=PUBLISH, now=now, earliest=today)


def return_policy(actor: Actor, *, policy_id: int) -> CreditPolicy:
    """Give a proposal back as a draft."""
    return versions.give_back(actor, CreditPolicy, policy_id, action=PUBLISH)


def discard_draft(actor: Actor, *, policy_id: int) -> None:
    """Throw a draft away."""
    versions.discard(actor, CreditPolicy, policy_id, action=DRAFT)


def withdraw_policy(actor: Actor, *, policy_id: int, reason: str, today: dt.date) -> CreditPolicy:
    """Take back a published version that has not begun: no day, and no business date that was run, is its own yet."""
    return versions.withdraw(
        actor, CreditPolicy, policy_id, action=PUBLISH, reason=reason, day=newest_day(today)
    )


def newest_day(today: dt.date) -> dt.date:
    """Today, or the newest business date where that is later."""
    run = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    return max(today, run) if run else today
