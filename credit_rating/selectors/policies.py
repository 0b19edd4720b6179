"""Which credit policy is in force, and the versions of each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from credit_rating.models import CreditPolicy
from credit_rating.policies import SHAPES, Body, read, warnings
from credit_rating.policies.wording import words_of
from crm_site.accounts.versions import (
    OPEN,
    Difference,
    VersionState,
    VersionStatus,
    differences,
    in_force,
    predecessor,
    states,
)


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
        found.select_related("drafted_by", "proposed_by", "published_by", "withdrawn_by").order_by(
            "kind", "-version"
        )
    )


def policy_version(policy_id: int) -> CreditPolicy:
    """A version. Raises CreditPolicy.DoesNotExist."""
    found = CreditPolicy.objects.select_related("drafted_by", "proposed_by", "published_by", "withdrawn_by")
    return found.get(pk=policy_id)


def current(day: dt.date) -> dict[str, list[tuple[CreditPolicy, VersionState]]]:
    """subject -> its versions in force on a day, one for each kind that has its own, and those that begin later."""
    published = CreditPolicy.objects.filter(status=VersionStatus.PUBLISHED).select_related("published_by")
    versions = list(published.order_by("subject", "kind", "valid_from", "version"))
    stands, found = states(versions, day), dict[str, list[tuple[CreditPolicy, VersionState]]]()
    for version in versions:
        if stands[version.pk] != VersionState.SUPERSEDED:
            found.setdefault(version.subject, []).append((version, stands[version.pk]))
    return found


def before(version: CreditPolicy, day: dt.date) -> CreditPolicy | None:
    """What a version changes; a kind's first own one: that for all kinds."""
    return predecessor(version, day) or (predecessor(version, day, kind="") if version.kind else None)


def changes(version: CreditPolicy, base: CreditPolicy | None) -> list[Difference]:
    """What a version says otherwise than another."""
    shape = SHAPES[version.subject]
    return differences(words_of(shape, base.body), words_of(shape, version.body)) if base else []


def newer_rules(version: CreditPolicy) -> list[str]:
    """Codes of early-warning rules that came with a later program and that no published version has; [] of other subjects."""
    if version.subject != warnings.SUBJECT:
        return []
    published = CreditPolicy.objects.filter(subject=version.subject, status=VersionStatus.PUBLISHED)
    return warnings.newer_rules(version.body, published.values_list("body", flat=True))


def under_way(subject: str, kind: str) -> CreditPolicy | None:
    """The draft or proposal of a subject and kind, if there is one."""
    return CreditPolicy.objects.filter(subject=subject, kind=kind, status__in=OPEN).first()
