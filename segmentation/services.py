"""What is done to tier policies: drafted by one, published by another, in force from a date ahead (B1, B2, B4)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import require_bank
from customers.conditions import ConditionError, validate
from segmentation.engine.policies import (
    FIRST_DAY,
    default_wealth_tiers,
    thresholds_of,
    value_tiers,
)
from segmentation.models import PolicyStatus, Scheme, TierDay, TierPolicy
from segmentation.models.tiers import VALUE, WEALTH

OPEN = (PolicyStatus.DRAFT, PolicyStatus.PROPOSED)


class PolicyError(DomainError):
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
                        status=PolicyStatus.PUBLISHED, drafted_at=at, published_at=at,
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
    require(actor, "policy.draft")
    Scheme.objects.select_for_update().get(pk=scheme.pk)
    checked = check_tiers(scheme, tiers)
    waiting = TierPolicy.objects.filter(scheme=scheme, kind=kind, status__in=OPEN).first()
    if waiting is not None and waiting.status == PolicyStatus.PROPOSED:
        raise Conflict(
            _("Version %s waits for its second person; it must be decided or returned first.")
            % waiting.version,
            code="policy_proposed",
        )
    if waiting is not None:
        waiting.tiers, waiting.note = checked, note
        waiting.drafted_by_id, waiting.drafted_at = actor.staff_id, now
        waiting.save(update_fields=["tiers", "note", "drafted_by", "drafted_at"])
        return waiting
    newest = TierPolicy.objects.filter(scheme=scheme).aggregate(newest=Max("version"))["newest"] or 0
    return TierPolicy.objects.create(
        scheme=scheme, kind=kind, version=newest + 1, tiers=checked, note=note,
        drafted_by_id=actor.staff_id, drafted_at=now,
    )  # fmt: skip


MOST_TIERS = 10


def create_scheme(
    actor: Actor, *, code: str, name: str, levels: Sequence[str], now: dt.datetime
) -> TierPolicy:
    """A segmentation scheme of the bank's own, with an open draft for all kinds whose conditions are yet to be said.

    `levels`: the tiers' names, best first; the last one takes the rest. The night decides by it once a second person
    has published its first version. Raises PolicyError with fields.
    """
    require(actor, "policy.draft")
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
    require(actor, "policy.draft")
    base = TierPolicy.objects.select_related("scheme").get(pk=policy_id)
    if base.kind or base.status != PolicyStatus.PUBLISHED:
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
    require(actor, "policy.draft")
    policy = _locked(policy_id, PolicyStatus.DRAFT)
    check_tiers(policy.scheme, policy.tiers)
    check_valid_from(valid_from)
    policy.status, policy.valid_from = PolicyStatus.PROPOSED, valid_from
    policy.proposed_by_id, policy.proposed_at = actor.staff_id, now
    policy.save(update_fields=["status", "valid_from", "proposed_by", "proposed_at"])
    return policy


def check_valid_from(valid_from: dt.date) -> None:
    """Raise PolicyError for a date that a night has been run for already: tiers were decided without it."""
    newest = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    if newest is not None and valid_from <= newest:
        message = _("It must begin after the newest business date, %s.") % newest.isoformat()
        raise PolicyError(message, code="valid_from", fields={"valid_from": message})


def publish_policy(actor: Actor, *, policy_id: int, now: dt.datetime) -> TierPolicy:
    """Put a proposed version in force from its date: by a person who neither drafted nor proposed it.

    A version published earlier for the very same date is retired. Raises PolicyError, Conflict when it was
    decided meanwhile.
    """
    require(actor, "policy.publish")
    policy = _locked(policy_id, PolicyStatus.PROPOSED)
    if actor.staff_id is None or actor.staff_id in (policy.proposed_by_id, policy.drafted_by_id):
        raise PolicyError(_("A second person publishes it."), code="second_person")
    assert policy.valid_from is not None  # noqa: S101 - the database holds that a proposal is dated
    check_valid_from(policy.valid_from)
    for_all = TierPolicy.objects.filter(scheme_id=policy.scheme_id, kind="", status=PolicyStatus.PUBLISHED)
    if policy.kind and not for_all.filter(valid_from__lte=policy.valid_from).exists():
        raise PolicyError(_("The policy for all kinds must be in force first."), code="kind_base")
    TierPolicy.objects.filter(
        scheme_id=policy.scheme_id,
        kind=policy.kind,
        valid_from=policy.valid_from,
        status=PolicyStatus.PUBLISHED,
    ).update(status=PolicyStatus.RETIRED)
    policy.status, policy.published_by_id, policy.published_at = PolicyStatus.PUBLISHED, actor.staff_id, now
    policy.save(update_fields=["status", "published_by", "published_at"])
    return policy


def return_policy(actor: Actor, *, policy_id: int) -> TierPolicy:
    """Give a proposal back as a draft."""
    require(actor, "policy.publish")
    policy = _locked(policy_id, PolicyStatus.PROPOSED)
    policy.status, policy.proposed_by, policy.proposed_at = PolicyStatus.DRAFT, None, None
    policy.save(update_fields=["status", "proposed_by", "proposed_at"])
    return policy


def discard_draft(actor: Actor, *, policy_id: int) -> None:
    """Throw a draft away; a scheme of the bank's own goes with its only one."""
    require(actor, "policy.draft")
    policy = _locked(policy_id, PolicyStatus.DRAFT)
    scheme = policy.scheme
    policy.delete()
    if scheme.code not in (VALUE, WEALTH) and not scheme.policies.exists():
        scheme.delete()


def _locked(policy_id: int, status: PolicyStatus) -> TierPolicy:
    policy = TierPolicy.objects.select_for_update(of=("self",)).filter(pk=policy_id).first()
    if policy is None or policy.status != status:
        raise Conflict(_("Somebody has decided this version meanwhile."), code="policy_changed")
    return policy
