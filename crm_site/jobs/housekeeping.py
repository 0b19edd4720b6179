"""What waits, and what may go: over all banks, on the global tables alone."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q
from django.db.models.functions import Now

from crm_site.jobs.models import Chunk, ChunkProgress, Outbox

KEEP_DAYS = 7  # ticked-off chunks and relayed messages, for whoever looks into a run of the last days


def due_chunks() -> int:
    """Chunks that a worker could take now."""
    return Chunk.objects.filter(
        Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now()), done_at__isnull=True, due_at__lte=Now()
    ).count()


def outbox_backlog() -> int:
    """Messages not relayed yet."""
    return Outbox.objects.filter(relayed_at__isnull=True).count()


def forget_old() -> int:
    """Delete what was done more than KEEP_DAYS ago; returns how many rows went."""
    before = Now() - dt.timedelta(days=KEEP_DAYS)
    gone = Chunk.objects.filter(done_at__lt=before).delete()[0]
    gone += Outbox.objects.filter(relayed_at__lt=before).delete()[0]
    gone += ChunkProgress.objects.filter(at__lt=before).delete()[0]
    return gone
