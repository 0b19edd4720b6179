"""Versioned policy as data: drafted by one person, proposed for a date, published by another, never rewritten.

Tier policies, credit policies and scorecards are such versions. What a version says and which versions compete
(`line`) is the model's own; who may draft and publish is an action of crm_site.lib.permissions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from django.db import models
from django.db.models import F, Max, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_site.accounts.models import Staff
from crm_site.lib import formats
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import BankForeignKey, TenantModel


class VersionStatus(models.TextChoices):
    DRAFT = "draft", gettext_lazy("Draft")
    PROPOSED = "proposed", gettext_lazy("Proposed")
    PUBLISHED = "published", gettext_lazy("Published")
    RETIRED = "retired", gettext_lazy("Retired")
    WITHDRAWN = "withdrawn", gettext_lazy("Withdrawn")


OPEN = (VersionStatus.DRAFT, VersionStatus.PROPOSED)


class VersionState(models.TextChoices):
    """How a version stands on a day: what is published is in force only from its date until the next one begins."""

    DRAFT = "draft", gettext_lazy("Draft")
    PROPOSED = "proposed", gettext_lazy("Proposed")
    PENDING = "pending", gettext_lazy("Begins later")
    IN_FORCE = "in_force", gettext_lazy("In force")
    SUPERSEDED = "superseded", gettext_lazy("Superseded")
    RETIRED = "retired", gettext_lazy("Retired")
    WITHDRAWN = "withdrawn", gettext_lazy("Withdrawn")

    @property
    def tone(self) -> str:
        """The tag's class."""
        tones = {"proposed": "tag-watch", "pending": "tag-act", "in_force": "tag-ok"}
        return tones.get(self.value, "")


class VersionError(DomainError):
    """A version cannot be drafted, proposed or published like this."""


class Version(TenantModel):
    """A version of something that people decide by. In force from `valid_from` until a later published version of
    the same line begins. `founding`: the default that came with the bank; nobody proposed it.

    `line_fields` name the columns whose versions follow one another (a scheme and a customer kind, say); versions are
    counted through all that share `numbered_by` (the scheme alone, say; by default the line). One of all that share
    `follows` (by default the line) is in force at a time; who published later goes before who began the same day.
    `content`: the columns that say what it decides. Published and not begun yet, it may be withdrawn for a reason; the
    database refuses it once it has begun or decided anything (accounts_version_withdrawal).
    """

    line_fields: ClassVar[tuple[str, ...]] = ()
    numbered_by: ClassVar[tuple[str, ...]] = ()
    follows: ClassVar[tuple[str, ...]] = ()
    content: ClassVar[tuple[str, ...]] = ()

    version = models.PositiveIntegerField()
    note = models.CharField(max_length=400, blank=True)
    valid_from = models.DateField(null=True)
    status = models.CharField(max_length=10, choices=VersionStatus, default=VersionStatus.DRAFT)
    founding = models.BooleanField(default=False)
    drafted_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    drafted_at = models.DateTimeField()
    proposed_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(null=True)
    published_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(null=True)
    withdrawn_by = BankForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    withdrawn_on = models.DateField(null=True)
    withdrawal_reason = models.CharField(max_length=400, blank=True)

    class Meta(TenantModel.Meta):
        abstract = True
        ordering: ClassVar = ["-version"]

    @property
    def line(self) -> dict[str, Any]:
        """The filter that finds the versions this one competes with."""
        return {name: getattr(self, name) for name in self.line_fields}

    @property
    def rivals(self) -> dict[str, Any]:
        """The filter that finds the versions of which one is in force at a time."""
        return {name: getattr(self, name) for name in self.follows or self.line_fields}


def version_constraints(prefix: str, *line: str, numbered_by: tuple[str, ...] = ()) -> list[Any]:
    """What the database holds of every line of versions: numbered once, one open, one published a day, two people."""
    return [
        models.UniqueConstraint(
            fields=["bank_id", *(numbered_by or line), "version"], name=f"{prefix}_version"
        ),
        models.UniqueConstraint(
            fields=["bank_id", *line],
            condition=Q(status__in=("draft", "proposed")),
            name=f"{prefix}_one_open",
        ),
        models.UniqueConstraint(
            fields=["bank_id", *line, "valid_from"],
            condition=Q(status="published"),
            name=f"{prefix}_one_a_day",
        ),
        models.CheckConstraint(
            name=f"{prefix}_second_person",
            condition=Q(founding=True)
            | Q(status="draft")
            | Q(status="proposed", proposed_by__isnull=False)
            | Q(proposed_by__isnull=False, published_by__isnull=False)
            & ~Q(published_by=F("proposed_by"))
            & ~Q(published_by=F("drafted_by")),
        ),
        models.CheckConstraint(
            name=f"{prefix}_dated",
            condition=Q(status__in=("draft", "proposed")) | Q(valid_from__isnull=False),
        ),
        models.CheckConstraint(
            name=f"{prefix}_withdrawn",
            condition=Q(withdrawn_on__isnull=True, withdrawn_by__isnull=True) & ~Q(status="withdrawn")
            | Q(
                status="withdrawn",
                founding=False,
                withdrawn_by__isnull=False,
                withdrawn_on__lt=F("valid_from"),
            )
            & ~Q(withdrawal_reason=""),
        ),
    ]


V = TypeVar("V", bound=Version)


def draft(actor: Actor, model: type[V], line: dict[str, Any], *, now: dt.datetime, **content: Any) -> V:
    """Write the next version of a line, or rewrite the draft that is open.

    The caller has checked the right and the content. Raises Conflict when a version waits for its second person.
    """
    waiting = model._default_manager.select_for_update(of=("self",)).filter(**line, status__in=OPEN).first()
    if waiting is not None and waiting.status == VersionStatus.PROPOSED:
        raise Conflict(
            _("Version %s waits for its second person; it must be decided or returned first.")
            % waiting.version,
            code="policy_proposed",
        )
    if waiting is not None:
        for name, value in content.items():
            setattr(waiting, name, value)
        waiting.drafted_by_id, waiting.drafted_at = actor.staff_id, now
        waiting.save(update_fields=[*content, "drafted_by", "drafted_at"])
        return waiting
    numbered = {name: line[name] for name in model.numbered_by or line}
    newest = model._default_manager.filter(**numbered).aggregate(newest=Max("version"))["newest"] or 0
    return model._default_manager.create(
        **line, **content, version=newest + 1, drafted_by_id=actor.staff_id, drafted_at=now
    )


def propose(
    actor: Actor,
    model: type[V],
    version_id: int,
    *,
    action: str,
    valid_from: dt.date,
    now: dt.datetime,
    earliest: dt.date | None = None,
) -> V:
    """Hand a draft to a second person, to be in force from a date.

    `earliest`: the first day on which it may begin (None: the caller has checked the date); VersionError before it,
    and for a draft that says what is in force by then: it would ask a second person to decide nothing.
    """
    require(actor, action)
    if earliest is not None and valid_from < earliest:
        message = _("It must not begin before today, %s.") % formats.day(earliest)
        raise VersionError(message, code="valid_from", fields={"valid_from": message})
    version = locked(model, version_id, VersionStatus.DRAFT)
    version.valid_from = valid_from
    standing = predecessor(version, valid_from)
    if standing is not None and _says(standing) == _says(version):
        message = _("It changes nothing: version %s, in force by then, says the same.") % standing.version
        raise VersionError(message, code="changes_nothing")
    version.status = VersionStatus.PROPOSED
    version.proposed_by_id, version.proposed_at = actor.staff_id, now
    version.save(update_fields=["status", "valid_from", "proposed_by", "proposed_at"])
    return version


def _says(version: Version) -> tuple[Any, ...]:
    """What a version decides, and for which line."""
    return version.line, *(getattr(version, name) for name in version.content)


def publish(
    actor: Actor,
    model: type[V],
    version_id: int,
    *,
    action: str,
    now: dt.datetime,
    earliest: dt.date | None = None,
) -> V:
    """Put a proposed version in force from its date: by a person who neither drafted nor proposed it.

    `earliest`: the day on which it begins when its date has passed while it waited (None: its date stays).
    A version published earlier for the very same date is retired. Raises VersionError, Conflict when it was decided
    meanwhile.
    """
    require(actor, action)
    version = locked(model, version_id, VersionStatus.PROPOSED)
    if not is_second_person(actor, version):
        raise VersionError(_("A second person publishes it."), code="second_person")
    if earliest is not None and version.valid_from is not None:
        version.valid_from = max(version.valid_from, earliest)
    model._default_manager.filter(
        **version.line, valid_from=version.valid_from, status=VersionStatus.PUBLISHED
    ).update(status=VersionStatus.RETIRED)
    version.status, version.published_by_id, version.published_at = (
        VersionStatus.PUBLISHED,
        actor.staff_id,
        now,
    )
    version.save(update_fields=["status", "valid_from", "published_by", "published_at"])
    return version


def is_second_person(actor: Actor, version: Version) -> bool:
    """Whether the actor is a person who neither drafted nor proposed the version."""
    return actor.staff_id is not None and actor.staff_id not in (
        version.proposed_by_id,
        version.drafted_by_id,
    )


def give_back(actor: Actor, model: type[V], version_id: int, *, action: str) -> V:
    """Give a proposal back as a draft."""
    require(actor, action)
    version = locked(model, version_id, VersionStatus.PROPOSED)
    version.status, version.proposed_by, version.proposed_at = VersionStatus.DRAFT, None, None
    version.save(update_fields=["status", "proposed_by", "proposed_at"])
    return version


LEAST_REASON = 4


def withdraw(actor: Actor, model: type[V], version_id: int, *, action: str, reason: str, day: dt.date) -> V:
    """Take back what is published and has not begun by `day`: what is in force until its date stays in force.

    Any one person who may publish may do it, since it only leaves things as they are. What it said and who made it is
    kept. VersionError, naming "reason", without one; for what has begun, or came with the bank; Conflict when it is not
    published (any more).
    """
    require(actor, action)
    version = locked(model, version_id, VersionStatus.PUBLISHED)
    if version.founding or version.valid_from is None or version.valid_from <= day:
        raise VersionError(
            _("It has begun: what may have been decided by it is not withdrawn."), code="begun"
        )
    if len(reason.strip()) < LEAST_REASON:
        message = _("Say why it is withdrawn.")
        raise VersionError(message, code="reason", fields={"reason": message})
    version.status, version.withdrawn_by_id, version.withdrawn_on = (
        VersionStatus.WITHDRAWN,
        actor.staff_id,
        day,
    )
    version.withdrawal_reason = reason.strip()[:400]
    version.save(update_fields=["status", "withdrawn_by", "withdrawn_on", "withdrawal_reason"])
    return version


def discard(actor: Actor, model: type[V], version_id: int, *, action: str) -> None:
    """Throw a draft away."""
    require(actor, action)
    locked(model, version_id, VersionStatus.DRAFT).delete()


def locked(model: type[V], version_id: int, status: VersionStatus) -> V:
    """The version, locked. Raises Conflict when it has not (or no longer) that status."""
    version = model._default_manager.select_for_update(of=("self",)).filter(pk=version_id).first()
    if version is None or version.status != status:
        raise Conflict(_("Somebody has decided this version meanwhile."), code="policy_changed")
    return version


def in_force(model: type[V], day: dt.date, **line: Any) -> V | None:
    """The version of a line in force on a day: the latest published one that has begun."""
    published = model._default_manager.filter(**line, status=VersionStatus.PUBLISHED, valid_from__lte=day)
    return published.order_by("-valid_from", "-version").first()


def _began(version: Version) -> tuple[Any, ...]:
    return version.valid_from, version.published_at or version.drafted_at, version.pk


def states(versions: Iterable[V], day: dt.date) -> dict[int, VersionState]:
    """id -> how each stands on a day. Of what is published the whole of each line must be among them."""
    every = list(versions)
    standing: dict[tuple[Any, ...], V] = {}
    for one in every:
        if one.status == VersionStatus.PUBLISHED and one.valid_from is not None and one.valid_from <= day:
            line = tuple(one.rivals.values())
            standing[line] = max(standing.get(line, one), one, key=_began)
    return {one.pk: _state(one, standing.get(tuple(one.rivals.values())), day) for one in every}


def _state(version: V, in_force: V | None, day: dt.date) -> VersionState:
    if version.status != VersionStatus.PUBLISHED:
        return VersionState(version.status)
    if version.valid_from is not None and version.valid_from > day:
        return VersionState.PENDING
    return (
        VersionState.IN_FORCE
        if in_force is not None and in_force.pk == version.pk
        else VersionState.SUPERSEDED
    )


def state_of(version: V, day: dt.date) -> VersionState:
    """How one version stands on a day."""
    rivals = type(version)._default_manager.filter(**version.rivals, status=VersionStatus.PUBLISHED)
    return states([*rivals, version], day)[version.pk]


def predecessor(version: V, day: dt.date, **line: Any) -> V | None:
    """What a version changes: the published one that is in force when it begins, a draft's as of `day`.

    `line`: another line than its own, for a version that gives way to none of its own yet.
    """
    begins = day if version.valid_from is None else version.valid_from
    published = (
        type(version)
        ._default_manager.filter(
            **(version.rivals | line), status=VersionStatus.PUBLISHED, valid_from__lte=begins
        )
        .exclude(pk=version.pk)
    )
    earlier = [one for one in published if version.status in OPEN or _began(one) < _began(version)]
    return max(earlier, key=_began, default=None)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a version changes: what, as it was and as it becomes ("" for what was or is not there)."""

    what: str
    was: str
    becomes: str


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """What differs between two versions in words ({what: how it is}), in the order of the new one, then what is gone."""
    found = [
        Difference(what, before.get(what, ""), said)
        for what, said in after.items()
        if before.get(what) != said
    ]
    return found + [Difference(what, said, "") for what, said in before.items() if what not in after]
