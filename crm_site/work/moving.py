"""A row of the worklist put off, given to a colleague, and taken back: every reason of its customer together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _

from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Actor, require
from crm_site.work import selectors, services
from crm_site.work.models import Notification, Task, TaskStatus


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task stood: whose it was and from which day it is shown."""

    task_id: int
    show_from: dt.date
    owner_id: int | None
    unit_id: int | None
    handed_over_by_id: int | None

    @classmethod
    def of(cls, task: Task) -> Place:
        return cls(task.pk, task.show_from, task.owner_id, task.unit_id, task.handed_over_by_id)


@dataclass(frozen=True, slots=True)
class Move:
    """A row that was moved: by whom, when, to which day or to whom, and where its tasks stood (those that changed)."""

    by_id: int | None
    at: dt.datetime
    before: tuple[Place, ...]
    until: dt.date | None = None
    to_id: int | None = None

    def packed(self) -> dict[str, Any]:
        """As JSON, for the address that takes it back."""
        text = asdict(self) | {"at": self.at.isoformat(), "until": self.until and self.until.isoformat()}
        text["before"] = [asdict(one) | {"show_from": one.show_from.isoformat()} for one in self.before]
        return text

    @classmethod
    def unpacked(cls, text: dict[str, Any]) -> Move:
        day, before = dt.date.fromisoformat, text["before"]
        places = tuple(Place(**one | {"show_from": day(one["show_from"])}) for one in before)
        until = day(text["until"]) if text["until"] else None
        return cls(text["by_id"], dt.datetime.fromisoformat(text["at"]), places, until, text["to_id"])

    def leaves(self, task: Task) -> bool:
        """Whether the task still stands where this move has put it."""
        if self.until is not None:
            return task.show_from == self.until
        return task.owner_id == self.to_id and task.handed_over_by_id == self.by_id


def postpone_row(actor: Actor, *, task_id: int, until: dt.date, as_of: dt.date, now: dt.datetime) -> Move:
    """Put off every reason of the task's row of the worklist: a customer who waits waits for all of them.

    Raises as postpone_task; all or nothing within the caller's transaction.
    """
    task = Task.objects.visible_to(actor).get(pk=task_id)
    row = selectors.row_of(actor, task, as_of)
    for one in row:
        services.postpone_task(actor, task_id=one.pk, until=until, as_of=as_of)
    return Move(actor.staff_id, now, _changed(row), until=until)


def hand_over_row(
    actor: Actor, *, task_id: int, to_id: int, as_of: dt.date, now: dt.datetime, note: str = ""
) -> Move:
    """Give every reason of the task's row to a colleague, who is told of the first. Raises as hand_over_task."""
    require(actor, "task.write")
    task = Task.objects.filter(pk=task_id).get()
    row = selectors.row_of(actor, task, as_of)
    for place, one in enumerate(row):
        services.hand_over_task(actor, task_id=one.pk, to_id=to_id, now=now, note=note, is_told=place == 0)
    return Move(actor.staff_id, now, _changed(row), to_id=to_id)


def _changed(row: Sequence[Task]) -> tuple[Place, ...]:
    """Where those tasks of the row stood that stand elsewhere now."""
    now = {one.pk: Place.of(one) for one in Task.objects.filter(pk__in=[task.pk for task in row])}
    return tuple(Place.of(task) for task in row if Place.of(task) != now[task.pk])


def take_back(actor: Actor, move: Move, *, now: dt.datetime) -> None:
    """Put a row back where it stood: by who moved it, for ten seconds, while nobody has done anything with it since.

    What a colleague was told of it and has not read goes away. Twice changes nothing. Raises Conflict.
    """
    require(actor, "task.write")
    late = now - move.at > dt.timedelta(seconds=services.UNDO_SECONDS + services.UNDO_GRACE_SECONDS)
    if late or move.by_id != actor.staff_id:
        raise Conflict(_("This can no longer be undone."), code="too_late")
    for place in move.before:
        task = services.locked(actor, place.task_id, also_given=True)
        if Place.of(task) == place:
            continue
        if task.status != TaskStatus.OPEN or not move.leaves(task):
            raise Conflict(_("This can no longer be undone."), code="too_late")
        if move.to_id is not None:
            _untell(move, task)
        for field, value in asdict(place).items():
            if field != "task_id":
                setattr(task, field, value)
        task.save(update_fields=["show_from", "owner_id", "unit_id", "handed_over_by_id"])


def _untell(move: Move, task: Task) -> None:
    """What the colleague was told goes away; what he has read cannot."""
    told = Notification.objects.select_for_update().filter(
        staff=move.to_id, code="task.handed_over", url=services.address(task), created_at=move.at
    )
    if any(notice.read_at for notice in told):
        text = _("Your colleague has read it already: ask for it to be handed back.")
        raise Conflict(text, code="already_read")
    Notification.objects.filter(pk__in=[notice.pk for notice in told]).delete()
