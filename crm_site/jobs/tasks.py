"""What Celery wakes. Nothing is lost when it does not: the rows stay due and the next tick finds them."""

from __future__ import annotations

from celery import shared_task

from crm_site.jobs import outbox
from crm_site.jobs.executor import drain as drain_chunks
from crm_site.jobs.housekeeping import due_chunks, forget_old

TICK_SECONDS = 2.0
DRAIN_SECONDS = 5.0
MOST_WAKES = 16  # drain messages a tick sends at most; what a busy crew does not fetch in time expires


@shared_task(name="jobs.tick")
def tick() -> None:
    """Relay the outbox, wake a worker for each due chunk."""
    outbox.relay()
    for _unused in range(min(due_chunks(), MOST_WAKES)):
        drain.apply_async(expires=DRAIN_SECONDS)


@shared_task(name="jobs.drain")
def drain() -> None:
    """Work off due chunks for some seconds; the next tick wakes another."""
    drain_chunks(seconds=DRAIN_SECONDS)


@shared_task(name="jobs.forget")
def forget() -> None:
    """Once an hour: rows nobody needs any more."""
    forget_old()
