"""Which policy versions are in force, drafted, proposed."""

from __future__ import annotations

import datetime as dt

from segmentation.models import PolicyStatus, TierPolicy


def policies_on(day: dt.date) -> dict[str, dict[str, TierPolicy]]:
    """scheme code -> customer kind ("" = all others) -> the version in force on a business date."""
    published = (
        TierPolicy.objects.filter(status=PolicyStatus.PUBLISHED, valid_from__lte=day)
        .select_related("scheme")
        .order_by("scheme__position", "scheme_id", "valid_from", "version")
    )
    found: dict[str, dict[str, TierPolicy]] = {}
    for policy in published:  # the latest one stands
        found.setdefault(policy.scheme.code, {})[policy.kind] = policy
    return found


def policy_versions() -> list[TierPolicy]:
    """Every version of every scheme with the people who made it, newest first within a scheme."""
    found = TierPolicy.objects.select_related("scheme", "drafted_by", "proposed_by", "published_by")
    return list(found.order_by("scheme__position", "scheme_id", "-version"))


def policy_version(policy_id: int) -> TierPolicy:
    """A version. Raises TierPolicy.DoesNotExist."""
    found = TierPolicy.objects.select_related("scheme", "drafted_by", "proposed_by", "published_by")
    return found.get(pk=policy_id)


def open_version(policy: TierPolicy) -> TierPolicy | None:
    """The draft or proposal of the same scheme and kind, if there is one."""
    return TierPolicy.objects.filter(
        scheme_id=policy.scheme_id,
        kind=policy.kind,
        status__in=(PolicyStatus.DRAFT, PolicyStatus.PROPOSED),
    ).first()
