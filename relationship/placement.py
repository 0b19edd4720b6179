"""The set-based core of placement: home branches, history and loads. Jobs and services call it.

Nothing here asks who acts: `services` does, and `nightly` runs for the whole bank. Everything is safe to repeat:
the same data give the same rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import connection

from crm_site.lib.dates import add_months, month_start, quarter_end
from customers.services.placement import Placement, place_customers

HOME_MONTHS = 3  # how far back business decides the home branch
HOME_TURN = (
    30  # every customer's home is reviewed once in so many nights, and whenever business is done elsewhere
)
RECENT_DAYS = 7  # entries of this many days call for a review: as late as feeds may come

# Where the customer does most business: most entries at a branch, then the larger turnover, then the present home.
# Without entries at a branch the home stays; who has none yet goes where the money is, then where it was opened.
_HOMES = """
with busy as materialized (
    select distinct c.id
    from customers_transaction t
    join customers_account a on a.bank_id = t.bank_id and a.id = t.account_id
    join customers_customer c on c.bank_id = a.bank_id and c.id = a.owner_id
    where t.bank_id = %(bank)s and t.booked_date > %(recent)s and t.booked_date <= %(day)s
      and t.branch_id is not null and a.owner_id between %(first)s and %(last)s
      and t.branch_id <> c.home_branch_id
), due as materialized (
    select c.id, c.home_branch_id, c.responsible_id, c.opening_branch_id, h.id is null as homeless
    from customers_customer c
    left join accounts_orgunit h on h.bank_id = c.bank_id and h.id = c.home_branch_id and h.is_open
    where c.bank_id = %(bank)s and c.id between %(first)s and %(last)s
      and (h.id is null or mod(c.id, %(turn)s) = %(slot)s or c.id in (select id from busy))
), business as (
    select d.id, t.branch_id, count(*) as entries, sum(abs(t.amount)) as turnover
    from due d
    join customers_account a on a.bank_id = %(bank)s and a.owner_id = d.id
    join customers_transaction t on t.bank_id = %(bank)s and t.account_id = a.id
      and t.booked_date > %(since)s and t.booked_date <= %(day)s
    join accounts_orgunit u on u.bank_id = %(bank)s and u.id = t.branch_id and u.is_open and u.kind <> 'head_office'
    group by d.id, t.branch_id
), busiest as materialized (
    select distinct on (b.id) b.id, b.branch_id
    from business b join due d on d.id = b.id
    order by b.id, b.entries desc, b.turnover desc, (b.branch_id = d.home_branch_id) desc nulls last, b.branch_id
), money as (
    select d.id, a.branch_id,
           coalesce((select greatest(x.balance, 0) from customers_balancechange x
                     where x.bank_id = %(bank)s and x.account_id = a.id and x.date <= %(day)s
                     order by x.date desc limit 1), 0)
           * case when a.currency = %(currency)s then 1 else coalesce((select r.rate from customers_fxrate r
                     where r.bank_id = %(bank)s and r.currency = a.currency and r.rate_date <= %(day)s
                     order by r.rate_date desc limit 1), 1) end as amount
    from due d
    join customers_account a on a.bank_id = %(bank)s and a.owner_id = d.id and a.branch_id is not null
      and a.opened_date <= %(day)s and (a.closed_date is null or a.closed_date > %(day)s)
    where d.homeless and not exists (select 1 from busiest b where b.id = d.id)
    union all
    select d.id, l.branch_id, l.outstanding
    from due d
    join customers_loan l on l.bank_id = %(bank)s and l.customer_id = d.id and l.branch_id is not null
      and l.status = 'active'
    where d.homeless and not exists (select 1 from busiest b where b.id = d.id)
), heaviest as (
    select distinct on (m.id) m.id, m.branch_id
    from (select id, branch_id, sum(amount) as amount from money group by id, branch_id) m
    join accounts_orgunit u on u.bank_id = %(bank)s and u.id = m.branch_id and u.is_open and u.kind <> 'head_office'
    order by m.id, m.amount desc, m.branch_id
)
select d.id, coalesce(b.branch_id, h.branch_id, d.opening_branch_id, d.home_branch_id), d.responsible_id
from due d
left join busiest b on b.id = d.id
left join heaviest h on h.id = d.id
where (b.branch_id is not null or d.homeless)
  and coalesce(b.branch_id, h.branch_id, d.opening_branch_id, d.home_branch_id) is distinct from d.home_branch_id
"""


def place_homes(bank_id: int, currency: str, day: dt.date, first: int, last: int) -> int:
    """Give the customers of an id range the branch where they do most business. Returns how many moved."""
    with connection.cursor() as cursor:
        cursor.execute(
            _HOMES,
            {
                "bank": bank_id,
                "currency": currency,
                "day": day,
                "since": add_months(day, -HOME_MONTHS),
                "recent": day - dt.timedelta(days=RECENT_DAYS),
                "first": first,
                "last": last,
                "turn": HOME_TURN,
                "slot": day.toordinal() % HOME_TURN,
            },
        )
        rows = [Placement(*row) for row in cursor.fetchall()]
    return place_customers(bank_id, rows)


_ADOPT = """
insert into relationship_assignment
    (bank_id, customer_id, manager_id, unit_id, from_date, to_date, rule, params, decided_by_id, decided_at, applied)
select c.bank_id, c.id, c.responsible_id, c.home_branch_id, %(day)s, null, 'adopted', '{}', null, now(), true
from customers_customer c
where c.bank_id = %(bank)s and c.id between %(first)s and %(last)s and c.responsible_id is not null
  and not exists (select 1 from relationship_assignment a
                  where a.bank_id = c.bank_id and a.customer_id = c.id
                    and (a.to_date is null or a.to_date > %(day)s))
"""


def adopt_assignments(bank_id: int, day: dt.date, first: int, last: int) -> int:
    """Begin the history of customers that came with a responsible person (a new bank's data): from `day` on,
    since nothing says from when. Returns how many began."""
    with connection.cursor() as cursor:
        cursor.execute(_ADOPT, {"bank": bank_id, "day": day, "first": first, "last": last})
        return cursor.rowcount


_LEAVERS = """
select c.id, c.home_branch_id
from customers_customer c
join accounts_staff s on s.bank_id = c.bank_id and s.id = c.responsible_id
where c.bank_id = %(bank)s and c.id between %(first)s and %(last)s
  and (not s.is_active or s.left_date <= %(day)s)
"""


def release_leavers(bank_id: int, day: dt.date, first: int, last: int) -> int:
    """Customers of people who have left wait in their branch's queue from `day` on. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_LEAVERS, {"bank": bank_id, "day": day, "first": first, "last": last})
        rows = cursor.fetchall()
        cursor.execute(
            "update relationship_assignment set to_date = greatest(from_date, %s)"
            " where bank_id = %s and customer_id = any(%s) and applied and to_date is null",
            [day, bank_id, [row[0] for row in rows]],
        )
    return place_customers(bank_id, [Placement(customer, home, None) for customer, home in rows])


def apply_due(bank_id: int, day: dt.date, first: int, last: int) -> int:
    """Put assignments that were approved for a later day into effect on their day. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update relationship_assignment a set applied = true from customers_customer c"
            " where a.bank_id = %(bank)s and not a.applied and a.from_date <= %(day)s"
            " and a.customer_id between %(first)s and %(last)s"
            " and c.bank_id = a.bank_id and c.id = a.customer_id"
            " returning a.customer_id, c.home_branch_id, a.manager_id",
            {"bank": bank_id, "day": day, "first": first, "last": last},
        )
        rows = [Placement(*row) for row in cursor.fetchall()]
    return place_customers(bank_id, rows)


_LOADS = """
with now_held as (
    select s.responsible_id as manager_id, s.value_tier, max(s.as_of) as as_of, count(*) as customers,
           sum(s.deposits_adb)::bigint as deposits_adb, sum(s.loans)::bigint as loans,
           count(*) filter (where s.overdue_amount > 0) as overdue_customers,
           sum(s.overdue_amount)::bigint as overdue_amount,
           count(*) filter (where s.last_contact_date between %(quarter)s and %(day)s) as contacted
    from customers_standing s
    join customers_customer c on c.bank_id = s.bank_id and c.id = s.customer_id and not c.is_prospect
    where s.bank_id = %(bank)s and s.responsible_id is not null and {scope}
    group by s.responsible_id, s.value_tier
), gone as (
    delete from relationship_managerload m
    where m.bank_id = %(bank)s and {scope_m}
      and not exists (select 1 from now_held n where n.manager_id = m.manager_id and n.value_tier = m.value_tier)
)
insert into relationship_managerload as m
    (bank_id, manager_id, value_tier, as_of, customers, deposits_adb, loans, overdue_customers, overdue_amount, contacted)
select %(bank)s, manager_id, value_tier, as_of, customers, deposits_adb, loans, overdue_customers, overdue_amount,
       contacted
from now_held
on conflict (bank_id, manager_id, value_tier) do update set
    as_of = excluded.as_of, customers = excluded.customers, deposits_adb = excluded.deposits_adb,
    loans = excluded.loans, overdue_customers = excluded.overdue_customers,
    overdue_amount = excluded.overdue_amount, contacted = excluded.contacted
where (m.as_of, m.customers, m.deposits_adb, m.loans, m.overdue_customers, m.overdue_amount, m.contacted)
      is distinct from
      (excluded.as_of, excluded.customers, excluded.deposits_adb, excluded.loans, excluded.overdue_customers,
       excluded.overdue_amount, excluded.contacted)
"""


def quarter_start(day: dt.date) -> dt.date:
    """First day of the date's calendar quarter."""
    return month_start(add_months(quarter_end(day), -2))


def refresh_loads(bank_id: int, day: dt.date, managers: Sequence[int] | None = None) -> int:
    """Recount what people look after: everybody, or the given ones after an approval. Returns rows changed."""
    if managers is not None:
        sql = _LOADS.format(scope="s.responsible_id = any(%(who)s)", scope_m="m.manager_id = any(%(who)s)")
    else:
        sql = _LOADS.format(scope="true", scope_m="true")
    with connection.cursor() as cursor:
        cursor.execute(
            sql, {"bank": bank_id, "day": day, "quarter": quarter_start(day), "who": list(managers or ())}
        )
        return cursor.rowcount
