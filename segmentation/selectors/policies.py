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
