"""Which policy versions are in force, drafted, proposed."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count

from crm_site.accounts.versions import OPEN, VersionStatus, predecessor
from crm_site.lib.permissions import Actor
from customers.models import CustomerKind
from segmentation.models import TierHistory, TierPolicy


def policies_on(day: dt.date) -> dict[str, dict[str, TierPolicy]]:
    """scheme code -> customer kind ("" = all others) -> the version in force on a business date."""
    published = (
        TierPolicy.objects.filter(status=VersionStatus.PUBLISHED, valid_from__lte=day)
        .select_related("scheme")
        .order_by("scheme__position", "scheme_id", "valid_from", "version")
    )
    found: dict[str, dict[str, TierPolicy]] = {}
    for policy in published:  # the latest one stands
        found.setdefault(policy.scheme.code, {})[policy.kind] = policy
    return found


def policy_versions() -> list[TierPolicy]:
    """Every version of every scheme with the people who made it, newest first within a scheme."""
    found = TierPolicy.objects.select_related(
        "scheme", "drafted_by", "proposed_by", "published_by", "withdrawn_by"
    )
    return list(found.order_by("scheme__position", "scheme_id", "-version"))


def policy_version(policy_id: int) -> TierPolicy:
    """A version. Raises TierPolicy.DoesNotExist."""
    found = TierPolicy.objects.select_related(
        "scheme", "drafted_by", "proposed_by", "published_by", "withdrawn_by"
    )
    return found.get(pk=policy_id)


def before(policy: TierPolicy, day: dt.date) -> TierPolicy | None:
    """What a version changes; a kind's first own one: that for all kinds."""
    return predecessor(policy, day) or (predecessor(policy, day, kind="") if policy.kind else None)


def open_version(policy: TierPolicy) -> TierPolicy | None:
    """The draft or proposal of the same scheme and kind, if there is one."""
    return TierPolicy.objects.filter(
        scheme_id=policy.scheme_id,
        kind=policy.kind,
        status__in=OPEN,
    ).first()


def kinds_without_policy(policy: TierPolicy) -> list[tuple[str, str]]:
    """Kinds of customer that have no version of their own in the policy's scheme."""
    taken = set(TierPolicy.objects.filter(scheme_id=policy.scheme_id).values_list("kind", flat=True))
    return [(code, str(label)) for code, label in CustomerKind.choices if code not in taken]


def tier_counts(actor: Actor, scheme: str) -> dict[int, int]:
    """How many of the actor's customers stand in each rank of a scheme, after the newest night that decided it."""
    standing = TierHistory.objects.visible_to(actor).filter(scheme=scheme, to_date__isnull=True)
    return dict(standing.order_by().values_list("rank").annotate(n=Count("pk")))
