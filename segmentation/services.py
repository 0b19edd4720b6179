"""What is done to tier policies: drafted by one, published by another, in force from a date ahead (B1, B2, B4)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from crm_site.accounts import versions
from crm_site.accounts.models import Bank
from crm_site.accounts.versions import VersionError, VersionStatus
from crm_site.lib import formats
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.conditions import ConditionError, validate
from segmentation.engine.policies import (
    FIRST_DAY,
    default_wealth_tiers,
    thresholds_of,
    value_tiers,
)
from segmentation.models import Scheme, TierDay, TierPolicy
from segmentation.models.tiers import VALUE, WEALTH

DRAFT, PUBLISH = "policy.draft", "policy.publish"


class PolicyError(VersionError):
    """A policy version cannot be drafted, proposed or published like this."""


def ensure_default_policies(now: dt.datetime | None = None) -> None:
    """Give the active bank the schemes `value` and `wealth` with their default policies, when it has none yet."""
    if Scheme.objects.filter(code__in=(VALUE, WEALTH)).count() == 2:
        return
    at = now or timezone.now()
    with transaction.atomic():
        for position, (code, tiers) in enumerate(
            ((VALUE, value_tiers()), (WEALTH, default_wealth_tiers())), start=1
        ):
            Scheme.objects.bulk_create([Scheme(code=code, position=position)], ignore_conflicts=True)
            scheme = Scheme.objects.get(code=code)
            TierPolicy.objects.bulk_create(
                [
                    TierPolicy(
                        scheme=scheme, version=1, tiers=tiers, valid_from=FIRST_DAY, founding=True,
                        status=VersionStatus.PUBLISHED, drafted_at=at, published_at=at,
                    )
                ],
                ignore_conflicts=True,
            )  # fmt: skip


def set_default_value_policy(
    *, high_deposits: Decimal, high_loans: Decimal, mid_deposits: Decimal, mid_loans: Decimal
) -> bool:
    """Replace the founding value policy by a sample's own thresholds, before any night has used it.

    False, and nothing done, when they are these already, a night has decided by them, or the bank has versions of
    its own: history is never rewritten.
    """
    ensure_default_policies()
    policies = list(TierPolicy.objects.select_for_update().filter(scheme__code=VALUE))
    tiers = value_tiers(high_deposits, high_loans, mid_deposits, mid_loans)
    if len(policies) != 1 or policies[0].tiers == tiers or TierDay.objects.exists():
        return False
    policies[0].tiers = tiers
    policies[0].save(update_fields=["tiers"])
    return True


def draft_policy(
    actor: Actor,
    *,
    scheme: Scheme,
    kind: str = "",
    tiers: Iterable[Mapping[str, Any]],
    note: str = "",
    now: dt.datetime,
) -> TierPolicy:
    """Write the next version of a scheme's policy for a kind (or all), or rewrite the draft that is open.

    The tiers and their order are the scheme's own; only their conditions change. Raises PolicyError, Conflict
    when a version waits for its second person.
    """
    require(actor, DRAFT)
    Scheme.objects.select_for_update().get(pk=scheme.pk)
    checked = check_tiers(scheme, tiers)
    line = {"scheme_id": scheme.pk, "kind": kind}
    return versions.draft(actor, TierPolicy, line, now=now, tiers=checked, note=note)


MOST_TIERS = 10


def create_scheme(
    actor: Actor, *, code: str, name: str, levels: Sequence[str], now: dt.datetime
) -> TierPolicy:
    """A segmentation scheme of the bank's own, with an open draft for all kinds whose conditions are yet to be said.

    `levels`: the tiers' names, best first; the last one takes the rest. The night decides by it once a second person
    has published its first version. Raises PolicyError with fields.
    """
    require(actor, DRAFT)
    ensure_default_policies(now)
    fields = {}
    if Scheme.objects.filter(code=code).exists():
        fields["code"] = _("The bank has a scheme with this short name.")
    if name in {str(scheme) for scheme in Scheme.objects.all()}:
        fields["name"] = _("The bank has a scheme of this name.")
    if not 2 <= len(levels) <= MOST_TIERS:
        fields["levels"] = _("A scheme has two to %s tiers.") % MOST_TIERS
    elif len(set(levels)) != len(levels) or any(len(level) > 40 for level in levels):
        fields["levels"] = _("Each tier needs a name of its own, of at most 40 characters.")
    if fields:
        raise PolicyError(next(iter(fields.values())), code="scheme", fields=fields)
    scheme = Scheme.objects.create(code=code, name=name)
    tiers = [
        {"rank": rank, "code": f"tier_{rank}", "label": {"zh": level, "en": level}, "condition": None}
        for rank, level in zip(range(len(levels), 0, -1), levels, strict=True)
    ]
    return TierPolicy.objects.create(
        scheme=scheme, version=1, tiers=tiers, drafted_by_id=actor.staff_id, drafted_at=now
    )


def draft_for_kind(actor: Actor, *, policy_id: int, kind: str, now: dt.datetime) -> TierPolicy:
    """Begin the first policy of one kind of customer, as a copy of the published one for all kinds.

    Raises PolicyError when the kind has versions of its own, or the policy is not a published one for all.
    """
    require(actor, DRAFT)
    base = TierPolicy.objects.select_related("scheme").get(pk=policy_id)
    if base.kind or base.status != VersionStatus.PUBLISHED:
        raise PolicyError(
            _("A kind's own policy begins with the published one for all kinds."), code="kind_base"
        )
    if TierPolicy.objects.filter(scheme=base.scheme, kind=kind).exists():
        message = _("This kind has a policy of its own already.")
        raise PolicyError(message, code="kind_exists", fields={"kind": message})
    return draft_policy(actor, scheme=base.scheme, kind=kind, tiers=base.tiers, now=now)


def check_tiers(scheme: Scheme, tiers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tiers with canonical conditions. Raises PolicyError naming the tier whose condition is wrong.

    Where amounts stand, a better tier may not ask for less than the one below it.
    """
    given = [dict(tier) for tier in tiers]
    model = TierPolicy.objects.filter(scheme=scheme).order_by("version").first()
    if model is not None and [(t["rank"], t["code"]) for t in given] != [
        (t["rank"], t["code"]) for t in model.tiers
    ]:
        raise PolicyError(_("A scheme keeps its tiers; only their conditions change."), code="policy_tiers")
    for tier in given[:-1]:
        try:
            tier["condition"] = validate(tier["condition"], dated=True)
        except ConditionError as error:
            raise PolicyError(
                error.message, code="condition", fields={tier["code"]: error.message}
            ) from error
        if not tier["condition"]:
            raise PolicyError(
                _("A tier needs a condition."), fields={tier["code"]: _("A tier needs a condition.")}
            )
    given[-1]["condition"] = None
    _check_order(given)
    return given


def _check_order(tiers: list[dict[str, Any]]) -> None:
    limits = [(tier["code"], thresholds_of(tier["condition"])) for tier in tiers[:-1]]
    for (_code, upper), (code, lower) in pairwise(limits):
        for fact in upper.keys() & lower.keys():
            if lower[fact] >= upper[fact]:
                message = _("The threshold must be below that of the tier above it.")
                raise PolicyError(message, code="policy_order", fields={f"{code}-{fact}": message})


def propose_policy(actor: Actor, *, policy_id: int, valid_from: dt.date, now: dt.datetime) -> TierPolicy:
    """Hand a draft to a second person, to be in force from a business date that has not been run."""
    require(actor, DRAFT)
    policy = versions.locked(TierPolicy, policy_id, VersionStatus.DRAFT)
    check_tiers(policy.scheme, policy.tiers)
    check_valid_from(valid_from)
    return versions.propose(actor, TierPolicy, policy_id, action=DRAFT, valid_from=valid_from, now=now)


def check_valid_from(valid_from: dt.date) -> None:
    """Raise PolicyError for a date that a night has been run for already: tiers were decided without it."""
    newest = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    if newest is not None and valid_from <= newest:
        message = _("It must begin after the newest business date, %s.") % formats.day(newest)
        raise PolicyError(message, code="valid_from", fields={"valid_from": message})


def publish_policy(actor: Actor, *, policy_id: int, now: dt.datetime) -> TierPolicy:
    """Put a proposed version in force from its date: by a person who neither drafted nor proposed it.

    Raises PolicyError for a date that has been run meanwhile or a kind whose scheme has no policy for all, and what
    versions.publish raises.
    """
    require(actor, PUBLISH)
    policy = versions.locked(TierPolicy, policy_id, VersionStatus.PROPOSED)
    if policy.valid_from is not None:
        check_valid_from(policy.valid_from)
    for_all = TierPolicy.objects.filter(scheme_id=policy.scheme_id, kind="", status=VersionStatus.PUBLISHED)
    if policy.kind and not for_all.filter(valid_from__lte=policy.valid_from).exists():
        raise PolicyError(_("The policy for all kinds must be in force first."), code="kind_base")
    return versions.publish(actor, TierPolicy, policy_id, action=PUBLISH, now=now)


def return_policy(actor: Actor, *, policy_id: int) -> TierPolicy:
    """Give a proposal back as a draft."""
    return versions.give_back(actor, TierPolicy, policy_id, action=PUBLISH)


def discard_draft(actor: Actor, *, policy_id: int) -> None:
    """Throw a draft away; a scheme of the bank's own goes with its only one."""
    scheme = Scheme.objects.filter(policies=policy_id).first()
    versions.discard(actor, TierPolicy, policy_id, action=DRAFT)
    if scheme is not None and scheme.code not in (VALUE, WEALTH) and not scheme.policies.exists():
        scheme.delete()


def withdraw_policy(actor: Actor, *, policy_id: int, reason: str, today: dt.date) -> TierPolicy:
    """Take back a published version that no night has decided by: its date is after the newest business date.

    Raises PolicyError for the policy of all kinds that a kind's own one stands on, and what versions.withdraw raises.
    """
    require(actor, PUBLISH)
    policy = versions.locked(TierPolicy, policy_id, VersionStatus.PUBLISHED)
    if not policy.kind:
        published = TierPolicy.objects.filter(scheme_id=policy.scheme_id, status=VersionStatus.PUBLISHED)
        bases = published.filter(kind="").exclude(pk=policy.pk).values_list("valid_from", flat=True)
        own = published.exclude(kind="").order_by("valid_from").values_list("valid_from", flat=True).first()
        if own is not None and not any(base is not None and base <= own for base in bases):
            raise PolicyError(_("A kind's own policy stands on it: withdraw that first."), code="kind_base")
    newest = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    return versions.withdraw(actor, TierPolicy, policy_id, action=PUBLISH, reason=reason, day=newest or today)
