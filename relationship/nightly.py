"""This app's steps of the nightly run: placement, proposals, worklists (order: crm_site/pipeline.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from crm_site.accounts.models import Bank, OrgUnit
from crm_site.lib.registry import Counts, RunContext, Step
from crm_site.work.services import age_tasks, put_selected_tasks
from relationship import placement, proposing, worklists

CHUNK = 100_000
PROPOSAL_CHUNKS = 16


def id_ranges(bank_id: int, size: int = CHUNK) -> Iterator[dict[str, int]]:
    """The customer ids of a bank cut into ranges of `size` ids."""
    with connection.cursor() as cursor:
        cursor.execute("select min(id), max(id) from customers_customer where bank_id = %s", [bank_id])
        first, last = cursor.fetchone() or (None, None)
    if first is not None and last is not None:
        for start in range(first, last + 1, size):
            yield {"first": start, "last": min(start + size - 1, last)}


def next_day(ctx: RunContext) -> dt.date:
    """The working day that the night of a business date prepares."""
    return ctx.business_date + dt.timedelta(days=1)


def _plan_placement(ctx: RunContext) -> Iterator[Mapping[str, Any]]:
    return id_ranges(ctx.bank_id)


def place(ctx: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Home branches, leavers' customers, the beginning of histories, and what was approved for tomorrow.

    Writes current standing only: a night for a past date leaves it alone.
    """
    if not ctx.is_newest:
        return Counts()
    currency = Bank.objects.get(pk=ctx.bank_id).currency
    first, last = int(chunk["first"]), int(chunk["last"])
    changed = placement.place_homes(ctx.bank_id, currency, ctx.business_date, first, last)
    changed += placement.apply_due(ctx.bank_id, next_day(ctx), first, last)
    changed += placement.adopt_assignments(ctx.bank_id, ctx.business_date, first, last)
    changed += placement.release_leavers(ctx.bank_id, ctx.business_date, first, last)
    return Counts(rows_in=last - first + 1, rows_changed=changed)


def count_loads(ctx: RunContext) -> None:
    """Once every home and owner stands: what each person looks after."""
    if ctx.is_newest:
        placement.refresh_loads(ctx.bank_id, ctx.business_date)


def _plan_proposals(ctx: RunContext) -> Iterator[Mapping[str, Any]]:
    """Some branches a chunk: a chunk of its own for each would cost more than most branches' proposals. With them goes
    whom tellers look after there and should not, which takes a pass through the whole book."""
    if not ctx.is_newest:
        return
    found, units = proposing.branch_intervals(), proposing.worthy_by_unit(ctx.bank_id, next_day(ctx))
    worthy = [[one for at, held in units.items() if lft <= at <= rgt for one in held] for lft, rgt in found]
    size = -(-len(found) // PROPOSAL_CHUNKS)
    for start in range(0, len(found), size or 1):
        part = slice(start, start + size)
        yield {"branches": found[part], "worthy": worthy[part]}


def propose(ctx: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Proposals for the gaps of some branches, each with everything below it."""
    if not ctx.is_newest:
        return Counts()
    gaps = changed = 0
    branches = [list(OrgUnit.objects.filter(lft__gte=lft, lft__lte=rgt)) for lft, rgt in chunk["branches"]]
    staff = proposing.possible_owners(ctx.bank_id, next_day(ctx), *branches)
    known = chunk.get("worthy") or [None] * len(branches)  # a release before this one planned without
    for units, worthy in zip(branches, known, strict=True):
        seen, moved = proposing.make_proposals(
            ctx.bank_id, next_day(ctx), units, run_id=ctx.run_id, staff=staff, worthy=worthy
        )
        gaps, changed = gaps + seen, changed + moved
    return Counts(rows_in=gaps, rows_changed=changed)


PLACEMENT = Step(
    name="placement",
    label=_("Home branches and owners"),
    work=place,
    plan=_plan_placement,
    finish=count_loads,
    after=("tiers",),
)
PROPOSALS = Step(
    name="proposals",
    label=_("Proposals for the queues"),
    work=propose,
    plan=_plan_proposals,
    after=("placement",),
)


def fill_worklists(ctx: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Tasks of every source for a range of customers; those whose cause is gone are closed."""
    if not ctx.is_newest:
        return Counts()
    first, last = int(chunk["first"]), int(chunk["last"])
    currency = Bank.objects.get(pk=ctx.bank_id).currency
    counts = put_selected_tasks(
        ctx.bank_id,
        [source.sql for source in worklists.SOURCES],
        worklists.values_of(ctx.bank_id, currency, ctx.business_date, first, last),
        sources=[f"{source.code}:" for source in worklists.SOURCES],
        as_of=ctx.business_date,
        run_id=ctx.run_id,
        customers=(first, last),
    )
    return Counts(counts.given, counts.changed + counts.cancelled)


def age_worklists(ctx: RunContext) -> Counts:
    """What people promised and set themselves becomes more urgent as its day comes."""
    return Counts(rows_changed=age_tasks(next_day(ctx), run_id=ctx.run_id)) if ctx.is_newest else Counts()


WORKLISTS = Step(
    name="worklists",
    label=_("Worklists"),
    work=fill_worklists,
    plan=_plan_placement,
    finish=age_worklists,
    after=("proposals", "churn", "warnings"),
)
