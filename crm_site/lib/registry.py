"""What apps hang on shared places: nightly steps, customer panels, homes, worklist reasons, facts.

Each app registers in its AppConfig.ready(); lower rooms read the registry and import nothing upwards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things in a given order. Registering a name twice raises ValueError."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> T:
        if name in self._items:
            raise ValueError(f"{self.what} {name!r} is registered twice")
        self._items[name] = item
        return item

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[name]
        except KeyError:
            raise KeyError(f"no {self.what} named {name!r}") from None

    def get(self, name: str) -> T | None:
        return self._items.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.values())

    def names(self) -> list[str]:
        return list(self._items)


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a step knows: the bank, the business date, the run and its parameters.

    `is_newest`: no later business date has been run; only then may current standing be written.
    `progress(done, total)` may be called from `work` and `plan` as often as one likes: the page shows it while
    the chunk's own transaction is still open.
    """

    bank_id: int
    run_id: int
    step_id: int
    business_date: dt.date
    is_newest: bool
    params: Mapping[str, Any] = field(default_factory=dict)
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, slots=True)
class Counts:
    """What a chunk did: rows it looked at, rows it changed."""

    rows_in: int = 0
    rows_changed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pipeline. `work` runs inside the bank and one transaction, and is safe to repeat.

    `plan` cuts the step into chunks (JSON payloads without anything of a customer in them: id ranges);
    no plan means one chunk. `finish` runs once after the last chunk, in a transaction of its own.
    Steps of `after` that a partial run leaves out count as done.
    """

    name: str
    label: Any
    work: Callable[[RunContext, Mapping[str, Any]], Counts]
    after: tuple[str, ...] = ()
    plan: Callable[[RunContext], Iterable[Mapping[str, Any]]] | None = None
    finish: Callable[[RunContext], Counts | None] | None = None
    pipeline: str = "nightly"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A graph of steps that one run goes through for a bank and a business date.

    `action`: who may start it (crm_site.lib.permissions.ACTIONS). `serial`: a bank's runs of it wait for each other.
    `closes_day`: a whole run that succeeds moves the bank's business date on. `first_date`: the date of the very
    first run, asked inside the bank. `on_failure`: called inside the bank, in the transaction that fails the run.
    """

    name: str
    label: Any
    action: str = "job.run"
    serial: bool = False
    closes_day: bool = False
    first_date: Callable[[], dt.date | None] | None = None
    on_failure: Callable[[RunContext, str], None] | None = None


PIPELINES: Registry[Pipeline] = Registry("pipeline")


def add_pipeline(pipeline: Pipeline) -> Pipeline:
    return PIPELINES.add(pipeline.name, pipeline)


# What acts without a person: the first words of `system_actor`'s label -> how people call it.
SYSTEM_NAMES: Registry[Any] = Registry("system name")


def system_name(label: str) -> str:
    """A system actor's label in the reader's words: "nightly 2026-01-31" is "Night run 2026-01-31"."""
    for named in PIPELINES:
        if label.split(" ", maxsplit=1)[0] == named.name:
            return f"{named.label}{label[len(named.name) :]}"
    for name in SYSTEM_NAMES.names():
        if f"{label} ".startswith(f"{name} "):
            return f"{SYSTEM_NAMES[name]}{label[len(name) :]}"
    return label


Handler = Callable[[int, Mapping[str, Any]], None]
# Outbox topic -> what hears it: handle(bank_id, payload), inside the bank, safe to repeat.
TOPICS: Registry[list[Handler]] = Registry("topic")


def add_topic(topic: str, handler: Handler) -> None:
    if topic in TOPICS:
        TOPICS[topic].append(handler)
    else:
        TOPICS.add(topic, [handler])


def handlers(topic: str) -> list[Handler]:
    """Who hears a topic; nobody for one that no app has registered."""
    return TOPICS.get(topic) or []


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the customer page: loaded by hx-get from URL `url_name` with the customer's id."""

    name: str
    title: Any
    url_name: str
    permission: str
    tab: str  # "overview", "business", "service", "information"
    order: int = 100
    wide: bool = False
    aside: bool = False  # stands in the narrow column
    quick: str = ""  # icon of a quick action in the head of the phone's page, which opens the panel alone
    kinds: tuple[str, ...] = ()  # of customers of these kinds alone; empty: of all


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry of the left rail. `permission` "" is for everybody."""

    name: str
    title: Any
    url_name: str
    icon: str
    permission: str
    order: int = 100


@dataclass(frozen=True, slots=True)
class WorkReason:
    """Why a task is on a worklist. `sentence(params)` says it in the reader's language in one line.

    `level`: "risk" (red edge), "watch" (amber edge) or "", told by `level_of(params)` where tasks differ; `needs_result`: done asks for a result. `same(params)`: the
    reason whose task, where the customer has one, says the same cause better; "" for none. `is_dated`: its deadline
    is somebody's word, so it grows more urgent night by night as that comes near (work.urgency). `address(params)`:
    where its matter is decided; such a task ends with that, and nobody closes it by hand.
    """

    code: str
    label: Any
    icon: str
    sentence: Callable[[Mapping[str, Any]], str]
    level: str = ""
    needs_result: bool = False
    same: Callable[[Mapping[str, Any]], str] = lambda _params: ""
    level_of: Callable[[Mapping[str, Any]], str] | None = None
    is_dated: bool = False
    address: Callable[[Mapping[str, Any]], str] | None = None


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """What a notification is about. `sentence(params)` says it in the reader's language in one line."""

    code: str
    icon: str
    sentence: Callable[[Mapping[str, Any]], str]
    level: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a task is about, as a row shows it. `tier`: "high", "mid", "general" or ""."""

    id: int
    name: str
    url: str
    tier: str = ""


STEPS: Registry[Step] = Registry("step")
PANELS: Registry[Panel] = Registry("panel")
NAV: Registry[NavItem] = Registry("navigation entry")
WORK_REASONS: Registry[WorkReason] = Registry("worklist reason")
NOTICES: Registry[NoticeKind] = Registry("notification")
# Names of the customers with these ids that the actor may see: subjects(actor, ids) -> {id: Subject}.
SUBJECTS: Registry[Callable[[Any, Iterable[int]], Mapping[int, Subject]]] = Registry("subjects")
# Which of these actors may see a customer: sight(actors, customer id) -> the ids of those members of staff.
SIGHT: Registry[Callable[[Sequence[Any], int], set[int]]] = Registry("sight of a customer")
# Customer numbers and keys, for rooms below the customers that keep a key alone. Numbers say nothing about a person,
# so nobody's sight is asked: {number: id} of these numbers, {id: number} of these ids.
CUSTOMER_IDS: Registry[Callable[[Iterable[str]], Mapping[str, int]]] = Registry("customer ids")
CUSTOMER_NUMBERS: Registry[Callable[[Iterable[int]], Mapping[int, str]]] = Registry("customer numbers")

# Where a row of the record can be seen: page_of(actor, table, key) -> address, or "".
RECORD_PAGES: Registry[Callable[[Any, str, int | str], str]] = Registry("page of a recorded row")

# The rows that belong to a matter which people know by a number (a case): rows_of(actor, number) -> {table: keys}, empty
# for a number of nothing that the actor sees.
RECORD_MATTERS: Registry[Callable[[Any, str], Mapping[str, Iterable[int]]]] = Registry("matter of the record")


@dataclass(frozen=True, slots=True)
class Watch:
    """What an examiner wants to know of whenever it happens: entries of the record on one of `tables` that meet
    `condition` (a Q over crm_site.audit.models.Entry). Of several watches that an entry meets the first counts.

    Tables that jobs change by the thousand each night are none to watch: an index leads to the table, not to the column.
    """

    name: str
    label: Any
    tables: tuple[str, ...]
    condition: Any


WATCHES: Registry[Watch] = Registry("watch")


def add_watch(watch: Watch) -> Watch:
    return WATCHES.add(watch.name, watch)


# What a room gives a bank on the day it is founded: hook(now), inside the new bank.
FOUNDING: Registry[Callable[[dt.datetime], None]] = Registry("founding gift")

# What a room keeps at an organisation unit, in words ("" for nothing): says whether the unit may be closed.
UNIT_USES: Registry[Callable[[int], str]] = Registry("use of a unit")


def add_step(step: Step) -> Step:
    return STEPS.add(f"{step.pipeline}:{step.name}", step)


def add_panel(panel: Panel) -> Panel:
    return PANELS.add(panel.name, panel)


def add_nav(item: NavItem) -> NavItem:
    return NAV.add(item.name, item)


def add_work_reason(reason: WorkReason) -> WorkReason:
    return WORK_REASONS.add(reason.code, reason)


def add_notice(notice: NoticeKind) -> NoticeKind:
    return NOTICES.add(notice.code, notice)


def pipeline_steps(pipeline: str) -> list[Step]:
    """The steps of a pipeline in an order in which each comes after what it depends on.

    Raises ValueError for a cycle or an unknown dependency.
    """
    steps = {step.name: step for step in STEPS if step.pipeline == pipeline}
    ordered: list[Step] = []
    placed: set[str] = set()
    waiting = dict(steps)
    while waiting:
        ready = [s for s in waiting.values() if all(a in placed for a in s.after)]
        if not ready:
            raise ValueError(f"pipeline {pipeline!r}: cycle or unknown dependency among {sorted(waiting)}")
        for step in ready:
            ordered.append(step)
            placed.add(step.name)
            del waiting[step.name]
    return ordered


@dataclass(frozen=True, slots=True)
class Home:
    """The home page of a role: "/" sends a person to the home with the lowest order among his roles."""

    role: str
    url_name: str
    order: int


HOMES: Registry[Home] = Registry("home")


def add_home(role: str, url_name: str, order: int) -> Home:
    return HOMES.add(role, Home(role, url_name, order))
