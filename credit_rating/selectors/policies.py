"""Which credit policy is in force, and the versions of each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from credit_rating.models import CreditPolicy
from credit_rating.policies import SHAPES, Body, read
from crm_site.accounts.versions import OPEN, VersionStatus, in_force


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy in force: its typed values, and the version that everything decided by it names."""

    version: CreditPolicy
    body: Body


def policy_on(subject: str, day: dt.date, kind: str = "") -> Policy:
    """The policy of a subject in force on a day: the kind's own, else that for all kinds.

    Raises CreditPolicy.DoesNotExist before the bank's first (services.policies.ensure_default_policies).
    """
    version = (in_force(CreditPolicy, day, subject=subject, kind=kind) if kind else None) or in_force(
        CreditPolicy, day, subject=subject, kind=""
    )
    if version is None:
        raise CreditPolicy.DoesNotExist(subject)
    return Policy(version, read(SHAPES[subject], version.body))


def policy_versions(subject: str) -> list[CreditPolicy]:
    """Every version of a subject with the people who made it, newest first within a kind."""
    found = CreditPolicy.objects.filter(subject=subject)
    return list(
        found.select_related("drafted_by", "proposed_by", "published_by").order_by("kind", "-version")
    )


def policy_version(policy_id: int) -> CreditPolicy:
    """A version. Raises CreditPolicy.DoesNotExist."""
    found = CreditPolicy.objects.select_related("drafted_by", "proposed_by", "published_by")
    return found.get(pk=policy_id)


def standing(day: dt.date) -> dict[str, list[CreditPolicy]]:
    """subject -> the versions in force on a day, one for each kind that has its own."""
    published = CreditPolicy.objects.filter(status=VersionStatus.PUBLISHED, valid_from__lte=day)
    newest: dict[tuple[str, str], CreditPolicy] = {}
    for version in published.order_by("valid_from", "version"):
        newest[version.subject, version.kind] = version
    found: dict[str, list[CreditPolicy]] = {}
    for (subject, _kind), version in sorted(newest.items()):
        found.setdefault(subject, []).append(version)
    return found


def under_way(subject: str, kind: str) -> CreditPolicy | None:
    """The draft or proposal of a subject and kind, if there is one."""
    return CreditPolicy.objects.filter(subject=subject, kind=kind, status__in=OPEN).first()
