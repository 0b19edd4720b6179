"""How chunks are worked off. The database's row lock is the sign of life: it vanishes with the worker's connection.

Claiming is two transactions. The first, short, takes a due chunk, counts the try and leases it for a moment. The
second locks the chunk's row, enters the bank, does the effect and ticks the chunk off: all of it or nothing. While
it lives everybody else skips the locked row; when its worker is killed the lock goes with the connection, the lease
has run out, and the next worker starts the chunk over.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import time
import traceback
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from crm_site.accounts.banks import home
from crm_site.jobs import runs
from crm_site.jobs.models import Chunk, ChunkKind, ChunkProgress, Run, Step, StepStatus
from crm_site.lib.permissions import system_actor
from crm_site.lib.registry import STEPS, Counts, RunContext
from crm_site.lib.registry import Step as StepSpec
from crm_site.lib.tenancy import act_as, bank

log = logging.getLogger("banyan.jobs")

LEASE_SECONDS = 5  # between the claim and the row lock of the working transaction
MAX_ERRORS = 3  # a chunk that raises
MAX_TRIES = 5  # a chunk whose workers do not come back
BACKOFF_SECONDS = (2, 10)
PROGRESS_SECONDS = 0.5
PLACES = 5  # of the program, in the log of an error
_HOST = socket.gethostname()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk that this worker may start. `token` is new for every claim, so a late worker cannot mistake itself."""

    chunk_id: int
    bank_id: int
    step_id: int
    token: str
    tries: int


def drain(*, seconds: float = 5.0, run_ids: Collection[int] | None = None) -> int:
    """Work off due chunks (of some runs) for so long, beginning none after it; returns how many were begun."""
    until, begun = time.monotonic() + seconds, 0
    while time.monotonic() < until and work_once(run_ids=run_ids):
        begun += 1
    return begun


def work_once(
    *, run_ids: Collection[int] | None = None, watch: Callable[[int, int], None] | None = None
) -> bool:
    """Claim one due chunk and work it off; False when none is due. Call outside every bank.

    `watch(done, total)` hears the chunk's own progress as well.
    """
    claimed = claim(run_ids=run_ids)
    if claimed is None:
        return False
    if claimed.tries > MAX_TRIES:
        _give_up(claimed, f"gave up: {MAX_TRIES} workers started this and none came back")
        return True
    try:
        _work(claimed, watch)
    except (KeyboardInterrupt, SystemExit):
        _give_back(claimed)
        raise
    except Exception as error:  # whatever a step raises: its effect is rolled back, the error is recorded
        log.warning(
            "chunk failed",
            extra={
                "fields": {
                    "chunk_id": claimed.chunk_id,
                    "type": type(error).__name__,
                    "try": claimed.tries,
                    "where": places_of(error),
                }
            },
        )
        close_old_connections_outside_transactions()
        _record_error(claimed, error)
    return True


def close_old_connections_outside_transactions() -> None:
    """A broken connection is replaced before the next chunk; within a test's transaction nothing is touched."""
    if not connection.in_atomic_block:
        close_old_connections()


def claim(*, run_ids: Collection[int] | None = None) -> Claim | None:
    """The first transaction: take a due chunk, count the try, lease it. None when nothing is due."""
    token = f"{_HOST}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
    due = Chunk.objects.filter(
        Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now()), done_at__isnull=True, due_at__lte=Now()
    )
    if run_ids is not None:
        due = due.filter(run_id__in=run_ids)
    with transaction.atomic():
        chunk = due.select_for_update(skip_locked=True).order_by("due_at", "id").first()
        if chunk is None:
            return None
        now = timezone.now()
        Chunk.objects.filter(pk=chunk.pk).update(
            tries=F("tries") + 1,
            worker=token,
            claimed_at=now,
            claimed_until=Now() + dt.timedelta(seconds=LEASE_SECONDS),
        )
        ChunkProgress.objects.update_or_create(chunk_id=chunk.pk, defaults={"done": 0, "total": 0, "at": now})
        with bank(chunk.bank_id):
            Step.objects.filter(pk=chunk.step_id, status=StepStatus.READY).update(
                status=StepStatus.RUNNING, started_at=now
            )
    return Claim(chunk.pk, chunk.bank_id, chunk.step_id, token, chunk.tries + 1)


def _work(claimed: Claim, watch: Callable[[int, int], None] | None) -> None:
    """The second transaction: lock, do, tick off."""
    clock = timezone.override(home(claimed.bank_id).zone)
    with bank(claimed.bank_id), clock, Progress(claimed.chunk_id, watch) as progress:
        _settle()
        chunk = (
            Chunk.objects.select_for_update(skip_locked=True)
            .filter(pk=claimed.chunk_id, done_at__isnull=True, worker=claimed.token)
            .first()
        )
        if chunk is None:
            return  # somebody else has it by now
        step = Step.objects.select_related("run").get(pk=chunk.step_id)
        if step.run.cancel_asked_at is not None:
            runs.leave([chunk.pk])
            _stop_if_asked(step.run)
            return
        spec = STEPS[f"{step.run.pipeline}:{step.name}"]
        act_as(system_actor(claimed.bank_id, f"{step.run.pipeline} {step.run.business_date}", step.run_id))
        context = context_of(step.run, step.pk, progress)
        counts = _do(spec, context, chunk)
        _tick_off(chunk, spec, counts)
        _stop_if_asked(step.run)


def _stop_if_asked(run: Run) -> None:
    """The piece in hand is over: a run that was cancelled meanwhile ends with the last of them."""
    if Run.objects.filter(pk=run.pk, cancel_asked_at__isnull=False).exists():
        runs.hold(run.pipeline)
        runs.end_cancelled(Run.objects.get(pk=run.pk), now=timezone.now())


def context_of(run: Run, step_id: int, progress: Callable[[int, int], None]) -> RunContext:
    return RunContext(
        bank_id=run.bank_id,
        run_id=run.pk,
        step_id=step_id,
        business_date=run.business_date,
        is_newest=run.is_newest,
        params=run.params,
        progress=progress,
    )


def _settle() -> None:
    """The server itself looks whether the worker still lives while it runs a long statement for it. And it plans a cursor
    (`iterator()`) for all its rows: a step reads them all, and for the first tenth, which is what it thinks of otherwise,
    it would walk through the whole bank in the order asked for (ratings of 1,000,000 customers: 14 s instead of 5)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL client_connection_check_interval = '2s'; SET LOCAL tcp_keepalives_idle = 10; "
            "SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 3; "
            "SET LOCAL cursor_tuple_fraction = 1"
        )


def _do(spec: StepSpec, context: RunContext, chunk: Chunk) -> Counts:
    if chunk.kind == ChunkKind.PLAN:
        payloads = list(_of(spec.plan, spec, chunk)(context))
        runs.add_chunks(chunk.bank_id, chunk.run_id, chunk.step_id, payloads)
        return Counts()
    if chunk.kind == ChunkKind.FINISH:
        return _of(spec.finish, spec, chunk)(context) or Counts()
    return spec.work(context, chunk.payload)


def _of(part: T | None, spec: StepSpec, chunk: Chunk) -> T:
    """The part of a step that a chunk asks for. A release may take it away while a run is under way."""
    if part is None:
        raise LookupError(f"step {spec.name} has no {chunk.kind} any more")
    return part


def _tick_off(chunk: Chunk, spec: StepSpec, counts: Counts) -> None:
    now = timezone.now()
    chunk.done_at, chunk.rows_in, chunk.rows_changed, chunk.error = (
        now,
        counts.rows_in,
        counts.rows_changed,
        "",
    )
    chunk.save(update_fields=["done_at", "rows_in", "rows_changed", "error"])
    ChunkProgress.objects.filter(chunk_id=chunk.pk).delete()
    step = Step.objects.select_for_update(no_key=True).select_related(None).get(pk=chunk.step_id)
    step.rows_in += counts.rows_in
    step.rows_changed += counts.rows_changed
    step.chunks_done += chunk.kind == ChunkKind.WORK
    step.save(update_fields=["rows_in", "rows_changed", "chunks_done"])
    if Chunk.objects.filter(step_id=step.pk, bank_id=step.bank_id, done_at__isnull=True).exists():
        return
    if spec.finish is not None and chunk.kind != ChunkKind.FINISH:
        runs.add_chunk(step, ChunkKind.FINISH)
    else:
        runs.close_step(step, now=now)


def _record_error(claimed: Claim, error: BaseException) -> None:
    """Try again a little later; after the last try the step and its run fail."""
    text = describe(error)
    with bank(claimed.bank_id):
        chunk = (
            Chunk.objects.select_for_update(skip_locked=True)
            .filter(pk=claimed.chunk_id, worker=claimed.token)
            .first()
        )
        if chunk is None or chunk.done_at is not None:
            return
        chunk.errors += 1
        chunk.error = type(error).__name__[:120]
        chunk.claimed_until = None
        if chunk.errors < MAX_ERRORS:
            delay = BACKOFF_SECONDS[chunk.errors - 1]
            Chunk.objects.filter(pk=chunk.pk).update(
                errors=chunk.errors,
                error=chunk.error,
                claimed_until=None,
                due_at=Now() + dt.timedelta(seconds=delay),
            )
            Step.objects.filter(pk=chunk.step_id).update(error=text)
            return
        chunk.save(update_fields=["errors", "error", "claimed_until"])
        runs.fail_step(chunk.step_id, text, now=timezone.now())


def _give_up(claimed: Claim, text: str) -> None:
    with bank(claimed.bank_id):
        Chunk.objects.filter(pk=claimed.chunk_id, worker=claimed.token).update(
            error="WorkerLost", claimed_until=None
        )
        runs.fail_step(claimed.step_id, text, now=timezone.now())


def _give_back(claimed: Claim) -> None:
    """The worker was asked to stop: the chunk is due again at once and the try does not count."""
    try:
        Chunk.objects.filter(pk=claimed.chunk_id, worker=claimed.token, done_at__isnull=True).update(
            tries=F("tries") - 1, claimed_until=None
        )
    except DatabaseError:
        log.warning("claim not given back", extra={"fields": {"chunk_id": claimed.chunk_id}})


def places_of(error: BaseException) -> list[str]:
    """Where in the program, not in its libraries, an error arose, the innermost place last; no values, which may be a
    customer's."""
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(settings.BASE_DIR) and "site-packages" not in path.parts:
            found.append(f"{path.relative_to(settings.BASE_DIR)}:{frame.lineno} {frame.name}")
    return found[-PLACES:]


def describe(error: BaseException) -> str:
    """Type and first line of an error, for the people who watch over jobs (later lines may quote rows)."""
    first = str(error).strip().splitlines()[:1]
    return f"{type(error).__name__}: {first[0]}"[:500] if first else type(error).__name__


class Progress:
    """`progress(done, total)`: seen by the page at once, since it is written beside the chunk's transaction.

    The connection of its own is opened by the first report that is due and closed with the chunk. A report that
    cannot be written is left out: it must never cost the work.
    """

    def __init__(self, chunk_id: int, watch: Callable[[int, int], None] | None = None) -> None:
        self.chunk_id, self.watch = chunk_id, watch
        self.connection: psycopg.Connection[Any] | None = None
        self.next_at = time.monotonic() + PROGRESS_SECONDS

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self.next_at:
            return
        self.next_at = now + PROGRESS_SECONDS
        if self.watch is not None:
            self.watch(done, total)
        try:
            if self.connection is None:
                self.connection = connect_beside()
            with self.connection.transaction():  # a pooler refuses settings of the session
                self.connection.execute("SET LOCAL lock_timeout = 500")
                self.connection.execute(
                    "UPDATE jobs_chunkprogress SET done = %s, total = %s, at = clock_timestamp() WHERE chunk_id = %s",
                    (done, total, self.chunk_id),
                )
        except psycopg.Error as error:
            log.info("progress not written", extra={"fields": {"type": type(error).__name__}})


def connect_beside() -> psycopg.Connection[Any]:
    """A second connection to the same database, each statement its own transaction, never waiting for a lock."""
    settings = connection.settings_dict
    return psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"],
        dbname=settings["NAME"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=5,
        application_name="banyan-progress",
    )
