"""The set-based core of proposals: who may own customers, where one is missing, and whom the rules propose. Jobs and
services call it; as in `placement`, nothing here asks who acts, and everything is safe to repeat.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import connection

from crm_site.accounts.models import GRADE_UNTIL_SET, GradeCapacity, OrgUnit
from crm_site.lib.dates import add_months
from crm_site.lib.money import to_minor
from relationship.engine.rules import MANAGER, TELLER, Choice, Colleague, Party, choose_all, rule_for

KNOWN_MONTHS = 12  # how far back a contact counts as knowing the customer
REFUSED_DAYS = 90  # a refused manager is not proposed again for so long
BATCH = 10_000

_STAFF = """
select s.id, s.number, s.grade, s.unit_id, u.lft, u.rgt,
       bool_or(g.role = 'relationship_manager') as manages,
       coalesce(max(l.customers), 0), coalesce(max(l.value), 0)
from accounts_staff s
join accounts_orgunit u on u.bank_id = s.bank_id and u.id = s.unit_id
join accounts_rolegrant g on g.bank_id = s.bank_id and g.staff_id = s.id and g.status = 'effective'
  and g.from_date <= %(day)s and (g.to_date is null or g.to_date >= %(day)s)
  and g.role in ('relationship_manager', 'teller')
left join (select manager_id, sum(customers)::bigint as customers, sum(deposits_adb + loans)::bigint as value
           from relationship_managerload where bank_id = %(bank)s group by manager_id) l on l.manager_id = s.id
where s.bank_id = %(bank)s and s.is_active and (s.left_date is null or s.left_date > %(day)s)
group by s.id, s.number, s.grade, s.unit_id, u.lft, u.rgt
order by s.id
"""


def colleagues(bank_id: int, day: dt.date, *branches: Sequence[OrgUnit]) -> dict[int, Colleague]:
    """Everybody who may own customers on `day`, with the load and the bounds of the grade (GRADE_UNTIL_SET's without one).

    `branches`: each the units of a branch; only people who sit in them are in reach of their customers.
    """
    around = {unit.pk: units for units in branches for unit in units}
    caps = {row.grade: (row.max_customers, to_minor(row.max_value)) for row in GradeCapacity.objects.all()}
    with connection.cursor() as cursor:
        cursor.execute(_STAFF, {"bank": bank_id, "day": day})
        rows = cursor.fetchall()
    found = {}
    for staff_id, number, grade, unit_id, lft, rgt, manages, customers, value in rows:
        heads, most = caps.get(grade or GRADE_UNTIL_SET, (None, None)) if manages else (None, None)
        found[staff_id] = Colleague(
            staff_id=staff_id,
            number=number,
            kind=MANAGER if manages else TELLER,
            grade=grade,
            customers=int(customers),
            value=int(value),
            max_customers=heads,
            max_value=most,
            reach=_reach(unit_id, lft, rgt, around.get(unit_id, ())),
        )
    return found


def _reach(unit_id: int, lft: int, rgt: int, units: Sequence[OrgUnit]) -> dict[int, int]:
    return {
        unit.pk: 0 if unit.pk == unit_id else 1 if lft <= unit.lft and unit.rgt <= rgt else 2
        for unit in units
    }


def branch_intervals() -> list[tuple[int, int]]:
    """The branches right below the head office, each with everything under it; staff serve within one."""
    return list(
        OrgUnit.objects.filter(parent__parent__isnull=True, parent__isnull=False)
        .order_by("lft")
        .values_list("lft", "rgt")
    )


# Whom a teller looks after though a manager should: read in one pass for the whole bank. An index for them would have to
# name the tier, and then every tier that changes would be written into every index of Standing.
_WORTHY = """
select u.lft, array_agg(s.customer_id order by s.customer_id)
from customers_standing s join accounts_orgunit u on u.bank_id = %(bank)s and u.id = s.home_branch_id
where s.bank_id = %(bank)s and s.responsible_id = any(%(tellers)s) and (s.loans > 0 or s.value_tier > 1)
group by u.lft
"""


def worthy_by_unit(bank_id: int, day: dt.date) -> dict[int, list[int]]:
    """`lft` of each home unit -> its borrowers and high or mid depositors whom a teller looks after on `day`."""
    tellers = [c.staff_id for c in colleagues(bank_id, day).values() if c.kind == TELLER]
    with connection.cursor() as cursor:
        cursor.execute(_WORTHY, {"bank": bank_id, "tellers": tellers})
        return dict(cursor.fetchall())


# A gap: nobody is responsible, or a teller is for a borrower or a high or mid depositor that the teller did not win.
_GAPS = """
with gaps as (
    select customer_id, home_branch_id, value_tier, wealth_level, loans, deposits_adb, responsible_id
    from customers_standing
    where bank_id = %(bank)s and home_branch_id = any(%(units)s) and responsible_id is null
    union all
    select customer_id, home_branch_id, value_tier, wealth_level, loans, deposits_adb, responsible_id
    from customers_standing
    where bank_id = %(bank)s and home_branch_id = any(%(units)s) and responsible_id = any(%(tellers)s)
      and (loans > 0 or value_tier > 1) and (%(worthy)s::bigint[] is null or customer_id = any(%(worthy)s))
)
select c.id, c.home_branch_id, s.value_tier, s.wealth_level, s.loans > 0, s.deposits_adb + s.loans,
       coalesce(c.won_by_id, 0), p.id, p.unit_id, p.manager_id, p.rule
from gaps s
join customers_customer c on c.bank_id = %(bank)s and c.id = s.customer_id
left join relationship_assignmentproposal p
    on p.bank_id = c.bank_id and p.customer_id = c.id and p.status = 'proposed'
where not c.is_prospect and c.status <> 'closed'
  and (s.responsible_id is null or c.won_by_id is distinct from s.responsible_id)
  and (%(some)s::bigint[] is null or c.id = any(%(some)s))
  and not exists (select 1 from relationship_assignment a
                  where a.bank_id = c.bank_id and a.customer_id = c.id and not a.applied)
"""
_KNOWN = """
select customer_id, staff_id, how from (
    select i.customer_id, i.author_id as staff_id, 'contact' as how, 1 as strength, count(*) as times, max(i.at) as at
    from customers_interaction i
    where i.bank_id = %(bank)s and i.customer_id = any(%(customers)s) and i.author_id is not null
      and i.at >= %(since)s
    group by i.customer_id, i.author_id
    union all
    select r.customer_id, o.responsible_id, 'relative', 2, 1, null
    from customers_relation r
    join customers_customer o on o.bank_id = r.bank_id and o.id = r.other_id
    where r.bank_id = %(bank)s and r.customer_id = any(%(customers)s) and o.responsible_id is not null
    union all
    select r.other_id, o.responsible_id, 'relative', 2, 1, null
    from customers_relation r
    join customers_customer o on o.bank_id = r.bank_id and o.id = r.customer_id
    where r.bank_id = %(bank)s and r.other_id = any(%(customers)s) and o.responsible_id is not null
) x
order by customer_id, strength, times desc, at desc nulls last, staff_id
"""


def make_proposals(
    bank_id: int,
    day: dt.date,
    units: Sequence[OrgUnit],
    *,
    run_id: int | None = None,
    customers: Sequence[int] | None = None,
    staff: dict[int, Colleague] | None = None,
    worthy: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Propose an owner for every gap of a branch (all its `units`), or of the given customers in it.

    An open proposal stays while its rule and its person still hold; others are superseded. `staff`: possible_owners of
    several branches, for one after the other; `worthy`: what worthy_by_unit found of the branch, which is then not
    read through once more. Returns (gaps, changed).
    """
    if staff is None:
        staff = possible_owners(bank_id, day, units)
    tellers = [c.staff_id for c in staff.values() if c.kind == TELLER]
    unit_ids = [unit.pk for unit in units]
    some = None if customers is None else list(customers)
    with connection.cursor() as cursor:
        held = some if worthy is None else list(worthy)
        cursor.execute(
            _GAPS, {"bank": bank_id, "units": unit_ids, "tellers": tellers, "some": some, "worthy": held}
        )
        gaps = cursor.fetchall()
        refused = _refused(cursor, bank_id, [row[0] for row in gaps], day)
        parties, kept, empty = [], [], {}
        for row in gaps:
            party = _party(row, refused)
            proposal_id, unit_id, manager_id, rule = row[7:]
            if proposal_id is not None and _still_holds(party, staff, unit_id, manager_id, rule):
                kept.append(proposal_id)
                continue
            if manager_id is None and unit_id == party.unit_id:
                empty[party.customer_id] = (proposal_id, rule)
            _give_back(staff.get(manager_id), party.value)
            parties.append(party)
        # Who knows the customer is asked only where there is a choice to make: most gaps wait from night to night.
        rich = [party.customer_id for party in parties if party.tier > 1 or party.borrows]
        known = _known(cursor, bank_id, rich, day)
        parties = [replace(party, known=known.get(party.customer_id, ())) for party in parties]
        fresh = []
        for party, choice in choose_all(parties, staff):
            proposal_id, rule = empty.get(party.customer_id, (None, ""))
            if proposal_id is not None and choice.staff_id is None and choice.rule == rule:
                kept.append(proposal_id)  # still nobody: the same place in the queue
            else:
                fresh.append((party, choice))
        closed = _supersede(cursor, bank_id, unit_ids, some, kept)
        _insert(cursor, bank_id, fresh, day, run_id)
    return len(gaps), closed + len(fresh)


def _party(row: Sequence[Any], refused: Mapping[int, frozenset[int]]) -> Party:
    """The customer of a gap, but for who knows it."""
    customer_id, unit_id, tier, wealth, borrows, value, won_by = row[:7]
    return Party(
        customer_id=customer_id,
        unit_id=unit_id,
        tier=tier,
        wealth=wealth,
        borrows=borrows,
        value=value,
        won_by=won_by,
        refused=refused.get(customer_id, frozenset()),
    )


def _give_back(colleague: Colleague | None, value: int) -> None:
    if colleague is not None:
        colleague.customers -= 1
        colleague.value -= value


def _still_holds(
    party: Party, staff: dict[int, Colleague], unit_id: int, manager_id: int | None, rule: str
) -> bool:
    if unit_id != party.unit_id or manager_id not in staff:
        return False
    return rule == "chosen" or rule == rule_for(party, staff)


def possible_owners(bank_id: int, day: dt.date, *branches: Sequence[OrgUnit]) -> dict[int, Colleague]:
    """Colleagues with what is proposed already counted as if it were held: the same room is never promised twice."""
    staff = colleagues(bank_id, day, *branches)
    with connection.cursor() as cursor:
        cursor.execute(
            "select manager_id, count(*), coalesce(sum(value), 0)::bigint from relationship_assignmentproposal"
            " where bank_id = %s and status = 'proposed' and manager_id is not null group by manager_id",
            [bank_id],
        )
        rows = cursor.fetchall()
    for manager_id, count, value in rows:
        if manager_id in staff:
            staff[manager_id].customers += count
            staff[manager_id].value += value
    return staff


def _known(
    cursor: Any, bank_id: int, customers: list[int], day: dt.date
) -> dict[int, tuple[tuple[int, str], ...]]:
    since = dt.datetime.combine(add_months(day, -KNOWN_MONTHS), dt.time(), tzinfo=dt.UTC)
    cursor.execute(_KNOWN, {"bank": bank_id, "customers": customers, "since": since})
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for customer_id, staff_id, how in cursor.fetchall():
        found[customer_id].setdefault(staff_id, how)
    return {customer_id: tuple(ties.items()) for customer_id, ties in found.items()}


def _refused(cursor: Any, bank_id: int, customers: list[int], day: dt.date) -> dict[int, frozenset[int]]:
    since = dt.datetime.combine(day - dt.timedelta(days=REFUSED_DAYS), dt.time(), tzinfo=dt.UTC)
    cursor.execute(
        "select customer_id, array_agg(manager_id) from relationship_assignmentproposal"
        " where bank_id = %s and customer_id = any(%s) and status = 'rejected' and manager_id is not null"
        " and decided_at >= %s group by customer_id",
        [bank_id, customers, since],
    )
    return {customer_id: frozenset(managers) for customer_id, managers in cursor.fetchall()}


def _supersede(
    cursor: Any, bank_id: int, unit_ids: list[int], some: list[int] | None, kept: list[int]
) -> int:
    cursor.execute(
        "update relationship_assignmentproposal set status = 'superseded'"
        " where bank_id = %s and status = 'proposed' and unit_id = any(%s) and not (id = any(%s))"
        " and (%s::bigint[] is null or customer_id = any(%s))",
        [bank_id, unit_ids, kept, some, some],
    )
    return int(cursor.rowcount)


_INSERT = """
insert into relationship_assignmentproposal
    (bank_id, customer_id, unit_id, manager_id, rule, params, tier, value, status, proposed_date, comment, run_id)
select %(bank)s, n.customer_id, n.unit_id, n.manager_id, n.rule, n.params::jsonb, n.tier, n.value, 'proposed', %(day)s,
       '', %(run)s
from unnest(%(customers)s::bigint[], %(units)s::bigint[], %(managers)s::bigint[], %(rules)s::text[],
            %(params)s::text[], %(tiers)s::smallint[], %(values)s::bigint[])
     as n (customer_id, unit_id, manager_id, rule, params, tier, value)
"""


def _insert(
    cursor: Any, bank_id: int, choices: Sequence[tuple[Party, Choice]], day: dt.date, run_id: int | None
) -> None:
    _close_moved(cursor, bank_id, [party.customer_id for party, _choice in choices])
    for start in range(0, len(choices), BATCH):
        piece = choices[start : start + BATCH]
        cursor.execute(
            _INSERT,
            {
                "bank": bank_id,
                "day": day,
                "run": run_id,
                "customers": [p.customer_id for p, _c in piece],
                "units": [p.unit_id for p, _c in piece],
                "managers": [c.staff_id for _p, c in piece],
                "rules": [c.rule for _p, c in piece],
                "params": [json.dumps(c.params) for _p, c in piece],
                "tiers": [p.tier for p, _c in piece],
                "values": [p.value for p, _c in piece],
            },
        )


def _close_moved(cursor: Any, bank_id: int, customers: Iterable[int]) -> None:
    """A customer whose home moved to another branch leaves the old branch's queue."""
    cursor.execute(
        "update relationship_assignmentproposal set status = 'superseded'"
        " where bank_id = %s and status = 'proposed' and customer_id = any(%s)",
        [bank_id, list(customers)],
    )
