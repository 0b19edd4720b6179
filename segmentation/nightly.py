"""The tier step of the night (B1, B2): every scheme's tier of every customer, history rows for changes alone.

The usual night is two statements per range of customers: rank from Standing, update Standing where it differs,
close the old row of history, open the new one. A date in the past, a date run again, a bank's first night and a
bank's own schemes take the longer way (`_rewrite`), whose outcome does not depend on the order in which dates
are run: history is what a run of all those dates in order would have written.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from crm_site.lib.dates import is_month_end
from crm_site.lib.registry import Counts, RunContext, Step, add_step
from customers.figures import check_rates, figures_sql
from customers.nightly import customer_ranges
from segmentation.models import TierDay
from segmentation.models.tiers import VALUE, WEALTH
from segmentation.ranking import asks_customer, rank_sql
from segmentation.selectors.policies import policies_on
from segmentation.services import ensure_default_policies

STANDING = {VALUE: ("value_tier", "value_since"), WEALTH: ("wealth_level", "wealth_since")}
FIGURES = ("deposits_adb", "deposits_balance", "loans", "aum")


@dataclass(frozen=True)
class Ranking:
    """A scheme's rules on a date as two SQL expressions over `c` and `s`: the rank and the policy that decided."""

    scheme: str
    rank: str
    policy: str
    params: list[Any] = field(default_factory=list)

    @property
    def needs_customer(self) -> bool:
        return asks_customer(self.rank)


def rankings(day: dt.date) -> list[Ranking]:
    """The published policies of a date, compiled. A kind's own policy goes before the one for all."""
    found = []
    for scheme, by_kind in policies_on(day).items():
        params: list[Any] = []
        ranks, policies = [], []
        for kind, policy in sorted(by_kind.items(), reverse=True):  # "" for all comes last
            rank, values = rank_sql(policy.tiers, as_of=day)
            params.extend(values)
            ranks.append(f"WHEN s.kind = '{kind}' THEN {rank}" if kind else f"ELSE {rank}")
            policies.append(f"WHEN s.kind = '{kind}' THEN {policy.pk}" if kind else f"ELSE {policy.pk}")
        found.append(Ranking(scheme, _case(ranks), _case(policies), params))
    return found


def _case(branches: list[str]) -> str:
    if len(branches) == 1 and branches[0].startswith("ELSE "):
        return branches[0].removeprefix("ELSE ")
    return f"CASE {' '.join(branches)} END"


# -- plan -----------------------------------------------------------------------------------------------------------


def plan_tiers(context: RunContext) -> Iterator[Mapping[str, Any]]:
    """Note the date and settle how it is worked off, so that a resumed chunk goes the same way."""
    ensure_default_policies()
    day = context.business_date
    if not context.is_newest:
        check_rates(context.bank_id, day)
    days = TierDay.objects.all()
    first, again = not days.exists(), days.filter(business_date=day).exists()
    pending = days.filter(since_pending=True).exists()
    after = days.filter(business_date__gt=day).order_by("business_date").first()
    if not again:
        TierDay.objects.create(business_date=day, run_id=context.run_id)
    usual = context.is_newest and not (first or again or pending or after)
    for part in customer_ranges(context.bank_id):
        yield {**part, "usual": usual, "after": after.business_date.isoformat() if after else ""}


def tiers(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Decide the tiers of a range of customers on the date."""
    found = rankings(context.business_date)
    usual = [r for r in found if r.scheme in STANDING] if chunk["usual"] else []
    longer = [r for r in found if r not in usual]
    counts = []
    if usual:
        counts.append(_usual_night(context, chunk, usual))
    if longer:
        counts.append(_rewrite(context, chunk, longer))
    return Counts(max((c.rows_in for c in counts), default=0), sum(c.rows_changed for c in counts))


def finish_tiers(context: RunContext) -> Counts:
    """Since-dates are right again after the newest night."""
    if context.is_newest:
        TierDay.objects.filter(since_pending=True).update(since_pending=False)
    return Counts()


# -- the usual night --------------------------------------------------------------------------------------------------


def _usual_night(context: RunContext, chunk: Mapping[str, Any], found: list[Ranking]) -> Counts:
    """Rank from Standing; where it differs update Standing, close the old row of history and open the new one.

    Two statements with a table between: nobody can estimate how many tiers differ, and a night that changes two in
    a hundred wants other plans than one that changes all. Each table is bound to the range, or every chunk would
    read the whole of it.
    """
    bank_id, run_id, lo, hi = context.bank_id, context.run_id, int(chunk["lo"]), int(chunk["hi"])
    at = f"DATE '{context.business_date.isoformat()}'"
    olds = {r.scheme: STANDING[r.scheme] for r in found}
    moved = _see_changes(bank_id, lo, hi, found)
    if not moved:
        return Counts(chunk["rows"])
    sets = ", ".join(
        f"{column} = n.{scheme}_rank,"
        f" {since} = CASE WHEN n.{scheme}_rank <> n.{column} THEN {at} ELSE s.{since} END"
        for scheme, (column, since) in olds.items()
    )
    figures = ", ".join(FIGURES)
    moves = " UNION ALL ".join(
        f"SELECT customer_id, '{scheme}'::varchar AS scheme, {column} AS held, {scheme}_rank AS rank,"
        f" {scheme}_policy AS policy, {figures} FROM tier_changed WHERE {scheme}_rank <> {column}"
        for scheme, (column, _since) in olds.items()
    )
    sql = f"""
WITH standing AS (
    UPDATE customers_standing s SET {sets}, run_id = {run_id} FROM tier_changed n
    WHERE s.bank_id = {bank_id} AND s.customer_id BETWEEN {lo} AND {hi} AND s.customer_id = n.customer_id
), closed AS (
    UPDATE segmentation_tierhistory h SET to_date = {at} FROM ({moves}) m
    WHERE m.held > 0 AND h.bank_id = {bank_id} AND h.customer_id BETWEEN {lo} AND {hi}
      AND h.customer_id = m.customer_id AND h.scheme = m.scheme AND h.to_date IS NULL
)
INSERT INTO segmentation_tierhistory (bank_id, customer_id, scheme, rank, from_date, policy_id, {figures}, run_id)
SELECT {bank_id}, customer_id, scheme, rank, {at}, policy, {figures}, {run_id} FROM ({moves}) m"""
    return Counts(chunk["rows"], _run(sql))


def _see_changes(bank_id: int, lo: int, hi: int, found: list[Ranking]) -> int:
    """A temporary table of the customers whose rank differs in some scheme: what they hold and what they get."""
    olds = {r.scheme: STANDING[r.scheme][0] for r in found}
    ranks = ", ".join(f"{r.rank} AS {r.scheme}_rank" for r in found)
    policies = ", ".join(f"{r.policy} AS {r.scheme}_policy" for r in found)
    figures = ", ".join(f"s.{name}" for name in FIGURES)
    held = ", ".join(f"s.{column}" for column in olds.values())
    differs = " OR ".join(f"n.{scheme}_rank <> n.{column}" for scheme, column in olds.items())
    # The wide customer row is read only where a condition asks it something, or to learn of somebody without a tier
    # whether it is a prospect, which has none.
    customer = f"JOIN customers_customer c ON c.bank_id = {bank_id} AND c.id BETWEEN {lo} AND {hi} AND c.id = s.customer_id"
    known = " OR ".join(f"n.{column} > 0" for column in olds.values())
    _run("DROP TABLE IF EXISTS pg_temp.tier_changed")
    rows = _run(
        f"""
CREATE TEMP TABLE tier_changed ON COMMIT DROP AS
WITH differing AS MATERIALIZED (
    SELECT n.* FROM (
        SELECT s.customer_id, {figures}, {held}, {ranks}, {policies}
        FROM customers_standing s {customer if any(r.needs_customer for r in found) else ""}
        WHERE s.bank_id = {bank_id} AND s.customer_id BETWEEN {lo} AND {hi}
    ) n WHERE {differs}
)
SELECT n.* FROM differing n WHERE {known} OR NOT
    (SELECT c.is_prospect FROM customers_customer c WHERE c.bank_id = {bank_id} AND c.id = n.customer_id)""",
        [value for r in found for value in r.params],
    )
    _run("ANALYZE tier_changed (customer_id)")
    return rows


def _row(sql: str, params: Sequence[Any] | None = None) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone() or ()


def _run(sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.rowcount


# -- the longer way ---------------------------------------------------------------------------------------------------


def _rewrite(context: RunContext, chunk: Mapping[str, Any], found: list[Ranking]) -> Counts:
    """Put the tiers seen on the date into history, whatever dates were run before or after it.

    Observations are the dates of TierDay. A tier seen on the date holds until the next such date (`after`), where
    what held before goes on; neighbours of the same rank are one row.
    """
    bank_id, day = context.bank_id, context.business_date
    source = (
        f"SELECT * FROM customers_standing WHERE bank_id = {bank_id}"
        f" AND customer_id BETWEEN {int(chunk['lo'])} AND {int(chunk['hi'])}"
        if context.is_newest
        else figures_sql(bank_id, day, chunk["lo"], chunk["hi"])
    )
    seen = _see(context, chunk, found, source, "tier_seen")
    changed = _points(context, chunk)
    if changed:
        _replace(context, chunk)
        if chunk["after"]:
            _explain_remainders(context, chunk, dt.date.fromisoformat(chunk["after"]))
        if not context.is_newest:
            TierDay.objects.filter(business_date=day).update(since_pending=True)
    if context.is_newest:
        _bring_standing(context, chunk, found)
    elif is_month_end(day):
        _bring_month_end(context, chunk, found)
    return Counts(seen // len(found), changed)


def _see(context: RunContext, chunk: Mapping[str, Any], found: list[Ranking], source: str, table: str) -> int:
    """A temporary table of what each scheme says of each customer: (customer_id, scheme, rank, policy, figures)."""
    figures = ", ".join(f"s.{name}" for name in FIGURES)
    parts, params = [], []
    for r in found:
        parts.append(
            f"SELECT s.customer_id, '{r.scheme}'::varchar AS scheme, {r.rank} AS rank, {r.policy} AS policy, {figures}"
            " FROM source s JOIN who c ON c.id = s.customer_id"
        )
        params.extend(r.params)
    _run(f"DROP TABLE IF EXISTS pg_temp.{table}")
    rows = _run(
        f"CREATE TEMP TABLE {table} ON COMMIT DROP AS WITH source AS MATERIALIZED ({source}),"
        f" who AS (SELECT * FROM customers_customer WHERE bank_id = {context.bank_id} AND NOT is_prospect"
        f" AND id BETWEEN {int(chunk['lo'])} AND {int(chunk['hi'])})"
        f" SELECT * FROM ({' UNION ALL '.join(parts)}) seen WHERE rank IS NOT NULL",
        params,
    )
    _run(f"ANALYZE {table}")
    return rows


def _points(context: RunContext, chunk: Mapping[str, Any]) -> int:
    """The new timeline of every customer and scheme whose tier on the date is not what history says."""
    figures, after = ", ".join(FIGURES), chunk["after"]
    remainder = (
        f"""UNION ALL
        SELECT customer_id, scheme, rank, DATE '{after}', policy_id, {figures}, run_id, true
        FROM old WHERE from_date <= %(day)s AND (to_date IS NULL OR to_date > DATE '{after}')"""
        if after
        else ""
    )
    _run("DROP TABLE IF EXISTS pg_temp.tier_points")
    _run(
        f"""
CREATE TEMP TABLE tier_points ON COMMIT DROP AS
WITH affected AS (
    SELECT v.* FROM tier_seen v LEFT JOIN segmentation_tierhistory h ON h.bank_id = %(bank)s
        AND h.customer_id BETWEEN %(lo)s AND %(hi)s AND h.customer_id = v.customer_id AND h.scheme = v.scheme
        AND h.from_date <= %(day)s AND (h.to_date IS NULL OR h.to_date > %(day)s)
    WHERE h.rank IS DISTINCT FROM v.rank
), old AS (
    SELECT h.* FROM segmentation_tierhistory h JOIN affected a ON a.customer_id = h.customer_id
        AND a.scheme = h.scheme WHERE h.bank_id = %(bank)s AND h.customer_id BETWEEN %(lo)s AND %(hi)s
), points AS (
    SELECT customer_id, scheme, rank, from_date, policy_id, {figures}, run_id, false AS is_remainder
    FROM old WHERE from_date <> %(day)s
    UNION ALL
    SELECT customer_id, scheme, rank, %(day)s, policy, {figures}, %(run)s, false FROM affected
    {remainder}
), compared AS (
    SELECT *, lag(rank) OVER (PARTITION BY customer_id, scheme ORDER BY from_date) AS rank_before FROM points
)
SELECT customer_id, scheme, rank, from_date, policy_id, {figures}, run_id, is_remainder,
    lead(from_date) OVER (PARTITION BY customer_id, scheme ORDER BY from_date) AS to_date
FROM compared WHERE rank_before IS DISTINCT FROM rank""",
        {
            "bank": context.bank_id, "day": context.business_date, "run": context.run_id,
            "lo": chunk["lo"], "hi": chunk["hi"],
        },
    )  # fmt: skip
    return int(
        _row("SELECT count(*) FROM (SELECT DISTINCT customer_id, scheme FROM tier_points) affected")[0]
    )


def _replace(context: RunContext, chunk: Mapping[str, Any]) -> None:
    figures = ", ".join(FIGURES)
    _run(
        "DELETE FROM segmentation_tierhistory h USING (SELECT DISTINCT customer_id, scheme FROM tier_points) p"
        " WHERE h.bank_id = %s AND h.customer_id BETWEEN %s AND %s"
        " AND h.customer_id = p.customer_id AND h.scheme = p.scheme",
        [context.bank_id, chunk["lo"], chunk["hi"]],
    )
    _run(
        "INSERT INTO segmentation_tierhistory (bank_id, customer_id, scheme, rank, from_date, to_date, policy_id,"
        f" {figures}, run_id) SELECT %s, customer_id, scheme, rank, from_date, to_date, policy_id, {figures}, run_id"
        " FROM tier_points",
        [context.bank_id],
    )


def _explain_remainders(context: RunContext, chunk: Mapping[str, Any], after: dt.date) -> None:
    """What held before and goes on from `after` gets the figures and the policy of that date."""
    if not _row("SELECT count(*) FROM tier_points WHERE is_remainder")[0]:
        return
    source = figures_sql(context.bank_id, after, chunk["lo"], chunk["hi"])
    _see(context, chunk, rankings(after), source, "tier_after")
    sets = ", ".join(f"{name} = n.{name}" for name in FIGURES)
    _run(
        f"UPDATE segmentation_tierhistory h SET policy_id = n.policy, {sets} FROM tier_after n, tier_points p"
        " WHERE p.is_remainder AND n.customer_id = p.customer_id AND n.scheme = p.scheme AND h.bank_id = %s"
        " AND h.customer_id = p.customer_id AND h.scheme = p.scheme AND h.from_date = %s",
        [context.bank_id, after],
    )


def _bring_standing(context: RunContext, chunk: Mapping[str, Any], found: list[Ranking]) -> None:
    """Rank and since of the newest date from what was seen and the open row of history."""
    for scheme, (column, since) in STANDING.items():
        if any(r.scheme == scheme for r in found):
            _run(
                f"UPDATE customers_standing s SET {column} = v.rank, {since} = h.from_date, run_id = %s"
                " FROM tier_seen v JOIN segmentation_tierhistory h ON h.bank_id = %s AND h.customer_id = v.customer_id"
                " AND h.customer_id BETWEEN %s AND %s AND h.scheme = v.scheme AND h.to_date IS NULL"
                " WHERE v.scheme = %s AND s.bank_id = %s AND s.customer_id BETWEEN %s AND %s"
                " AND s.customer_id = v.customer_id"
                f" AND (s.{column}, s.{since}) IS DISTINCT FROM (v.rank, h.from_date)",
                [
                    context.run_id,
                    context.bank_id,
                    chunk["lo"],
                    chunk["hi"],
                    scheme,
                    context.bank_id,
                    chunk["lo"],
                    chunk["hi"],
                ],
            )


def _bring_month_end(context: RunContext, chunk: Mapping[str, Any], found: list[Ranking]) -> None:
    """The past month-end's record takes the tiers of its date."""
    for scheme, (column, _since) in STANDING.items():
        if any(r.scheme == scheme for r in found):
            _run(
                f"UPDATE customers_monthend m SET {column} = v.rank FROM tier_seen v"
                " WHERE v.scheme = %s AND m.bank_id = %s AND m.month_end = %s AND m.customer_id BETWEEN %s AND %s"
                f" AND m.customer_id = v.customer_id AND m.{column} <> v.rank",
                [scheme, context.bank_id, context.business_date, chunk["lo"], chunk["hi"]],
            )


def register() -> None:
    """Hang the steps on the night (crm_site/pipeline.py has the whole order)."""
    add_step(
        Step(
            "tiers",
            _("Tiers and wealth levels"),
            tiers,
            after=("arrears",),
            plan=plan_tiers,
            finish=finish_tiers,
        )
    )
