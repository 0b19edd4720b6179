"""Loads a synthetic bank: the same derived rows as ingest, by COPY into temporary tables and INSERT … SELECT.

Everything happens in one transaction: a bank that was interrupted does not exist. The book is made by a
second process one chunk ahead of the loading, so that both cores work and memory stays that of two chunks.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext as _

from crm_site.accounts.models import Bank, GrantStatus, OrgUnit, OrgUnitKind, RoleGrant, Staff
from crm_site.accounts.services import FoundedBank, found_bank, renumber_tree
from crm_site.composition.credit_book import make_credit_book
from crm_site.composition.living_credit import make_living_credit
from crm_site.composition.synthetic import words
from crm_site.composition.synthetic.ledger import CHANNELS, ENTRY_KINDS
from crm_site.composition.synthetic.lines import make_lines
from crm_site.composition.synthetic.organisation import Organisation, make_organisation
from crm_site.composition.synthetic.people import Names
from crm_site.composition.synthetic.plan import Plan, make_plan
from crm_site.composition.synthetic.render import BankKeys, Ids, Stream, ids_needed, render_chunk
from crm_site.lib.crypto import master_key
from crm_site.lib.dates import add_months, month_start
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.postgres.statistics import analyze
from crm_site.lib.tenancy import act_as, bank
from customers.models import FxRate, Product

SECOND_ADMINISTRATOR = "admin2"
FX = (("USD", 7.1, 0.0022), ("EUR", 7.75, 0.003), ("HKD", 0.91, 0.0022))
# Kind of entry -> its purposes, then its counterparties.
_PURPOSES = ("转账", "转账", "工资", "存现", "取现", "消费", "缴费", "货款", "货款", "结息")
_PARTIES = ((), (), words.PAYERS, (), (), words.SHOPS, words.UTILITIES, words.BUYERS, words.BUYERS, ())
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MadeBank:
    """A synthetic bank, its first administrator and how many rows of each table it got."""

    founded: FoundedBank
    plan: Plan
    rows: dict[str, int]


@dataclass(frozen=True)
class Target:
    """How a stream becomes rows: columns of the temporary table, the statement's target and its expressions."""

    table: str
    columns: str  # "name type, …" of the temporary table
    into: str
    select: str


_STAMP = "%(stamp)s::timestamptz"
TARGETS: dict[str, Target] = {
    "customer": Target(
        "customers_customer",
        "id bigint, number text, kind text, is_prospect bool, name text, name_sort text, status text, birth date, "
        "founded date, gender text, industry text, size text, employees int, since date, related bool, excluded bool, "
        "occupation text, family text, experience text, preference text, needs text, home bigint, opening bigint, responsible bigint, "
        "won_by bigint, contact date",
        "id, number, kind, is_prospect, name, name_sort, status, birth_date, founded_date, gender, industry, size, "
        "employees, customer_since, is_related_party, is_excluded, source, source_as_of, occupation, employer, "
        "family_note, experience_note, preference_note, needs_note, contact_language, home_branch_id, opening_branch_id, "
        "responsible_id, won_by_id",
        "id, number, kind, is_prospect, name, name_sort, status, birth, founded, gender, industry, size, employees, since, "
        f"related, excluded, 'synthetic', {_STAMP}, occupation, '', family, experience, preference, needs, '', home, opening, "
        "responsible, won_by",
    ),
    "identifier": Target(
        "customers_identifier",
        "customer bigint, scheme text, value bytea, digest bytea, masked text",
        "customer_id, scheme, value, blind_index, masked, source_as_of",
        f"customer, scheme, value, digest, masked, {_STAMP}",
    ),
    "phone": Target(
        "customers_contactpoint",
        "customer bigint, position smallint, value bytea, digest bytea, masked text, tail text",
        "customer_id, kind, position, value, blind_index, masked, tail, source_as_of",
        f"customer, 'phone', position, value, digest, masked, tail, {_STAMP}",
    ),
    "token": Target(
        "customers_searchtoken",
        "token text, customer bigint",
        "customer_id, token, weight",
        "customer, token, 0",
    ),
    "address": Target(
        "customers_address",
        "customer bigint, kind text, region text, line text",
        "customer_id, kind, region, line, source_as_of",
        f"customer, kind, region, line, {_STAMP}",
    ),
    "account": Target(
        "customers_account",
        "id bigint, number text, owner bigint, product bigint, branch bigint, kind text, currency text, opened date, "
        "closed date, maturity date, rate numeric",
        "id, number, owner_id, product_id, branch_id, kind, currency, opened_date, closed_date, maturity_date, "
        "interest_rate, source_as_of",
        f"id, number, owner, product, branch, kind, currency, opened, closed, maturity, rate, {_STAMP}",
    ),
    "holder": Target(
        "customers_accountholder",
        "account bigint, customer bigint, role text",
        "account_id, customer_id, role, source_as_of",
        f"account, customer, role, {_STAMP}",
    ),
    "loan": Target(
        "customers_loan",
        "id bigint, number text, customer bigint, product bigint, branch bigint, amount bigint, outstanding bigint, "
        "granted date, maturity date, closed date, rate numeric, purpose text, status text, overdue bigint, late int",
        "id, number, customer_id, product_id, branch_id, currency, amount, outstanding, granted_date, maturity_date, "
        "closed_date, interest_rate, purpose, status, overdue_amount, days_past_due, as_of, source_as_of",
        "id, number, customer, product, branch, %(currency)s, amount, outstanding, granted, maturity, closed, rate, "
        f"purpose, status, overdue, late, %(date)s::date, {_STAMP}",
    ),
    "loanbalance": Target(
        "customers_loanbalance",
        "loan bigint, date date, outstanding bigint, overdue bigint, since date",
        "loan_id, date, outstanding, overdue_amount, overdue_since",
        "loan, date, outstanding, overdue, since",
    ),
    "instalment": Target(
        "customers_loaninstalment",
        "loan bigint, due date, amount bigint",
        "loan_id, due_date, amount",
        "loan, due, amount",
    ),
    "card": Target(
        "customers_card",
        "customer bigint, account bigint, reference text, tail text, product bigint, issued date, expires date, "
        "closed date",
        "customer_id, account_id, reference, number_tail, product_id, issued_date, expires_date, closed_date, "
        "source_as_of",
        f"customer, account, reference, tail, product, issued, expires, closed, {_STAMP}",
    ),
    "order": Target(
        "customers_standingorder",
        "account bigint, reference text, amount bigint, to_bank text, to_account text, purpose text",
        "account_id, reference, amount, currency, to_bank, to_account, purpose, source_as_of",
        f"account, reference, amount, %(currency)s, to_bank, to_account, purpose, {_STAMP}",
    ),
    "holding": Target(
        "customers_holding",
        "customer bigint, reference text, product bigint, date date, value bigint, maturity date",
        "customer_id, reference, product_id, date, value, currency, maturity_date",
        "customer, reference, product, date, value, %(currency)s, maturity",
    ),
    "fee": Target(
        "customers_fee",
        "customer bigint, reference text, product bigint, date date, amount bigint",
        "customer_id, reference, product_id, date, amount, currency",
        "customer, reference, product, date, amount, %(currency)s",
    ),
    "relation": Target(
        "customers_relation",
        "customer bigint, other bigint, kind text, share numeric, note text",
        "customer_id, other_id, kind, share, note, source_as_of",
        f"customer, other, kind, share, note, {_STAMP}",
    ),
    "contact": Target(
        "customers_interaction",
        "customer bigint, reference text, channel text, at timestamptz, author bigint, result text, note text, "
        "promise text, promise_date date",
        "customer_id, reference, channel, at, author_id, author_name, result, note, promise, promise_date, source",
        "customer, reference, channel, at, author, coalesce((select s.name from accounts_staff s where s.id = author "
        "and s.bank_id = %(bank)s), ''), result, note, promise, promise_date, 'synthetic'",
    ),
    "person": Target(
        "customers_contactperson",
        "customer bigint, name text, post text, title text, roles text, phone bytea, masked text, party bigint, since date, "
        "gone date, submission uuid",
        "customer_id, name, post, title, roles, phone, phone_masked, party_id, from_date, left_date, left_reason, note, "
        "submission",
        "customer, name, post, title, roles::text[], phone, masked, party, since, gone, case when gone is null then '' else "
        "'left' end, '', submission",
    ),
    "ledger": Target(
        "customers_balancechange",
        "account bigint, date date, balance bigint, positive bigint, negative bigint",
        "account_id, date, balance, positive_days, negative_days",
        "account, date, balance, positive, negative",
    ),
    "entry": Target(
        "customers_transaction",
        "account bigint, date date, amount bigint, kind smallint, channel smallint, party smallint, number smallint",
        "account_id, booked_date, reference, amount, kind, channel, counterparty, purpose",
        "account, date, 'E' || account || '-' || number, amount, (%(kinds)s::text[])[kind], "
        "(%(channels)s::text[])[channel], coalesce((%(parties)s::text[])[kind::int * 10 - 9 + party %% "
        "(%(widths)s::int[])[kind]], ''), (%(purposes)s::text[])[kind]",
    ),
}
# What others point at. Its statistics are taken before they are written: without them each foreign key is checked by
# walking all of the bank's rows, in a plan that the session keeps.
_PARENTS = ("customer", "account", "loan")
_OWNERS = ("accounts_orgunit", "accounts_staff", "customers_product")
_STANDING = """
    insert into customers_standing (bank_id, customer_id, kind, home_branch_id, responsible_id, deposits_adb,
        deposits_balance, loans, aum, overdue_amount, days_past_due, value_tier, wealth_level, churn_bp, adb_previous,
        deposits_13, last_contact_date)
    select %(bank)s, id, kind, home, responsible, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, '{}', contact from made_customer
"""


def make_bank(
    *,
    code: str,
    customers: int,
    seed: int,
    date: dt.date,
    now: dt.datetime,
    to_the_day: bool = False,
    name: str = "",
    host: str = "",
    login: str = "admin",
    password: str | None = None,
    is_living: bool = True,
    progress: Progress = lambda done, total: None,
) -> MadeBank:
    """Found a bank and fill it with a synthetic book that ends at the month-end at or before `date` (or on that very day).

    `is_living`: its customers are rated and cases are under way.
    Deterministic by seed, size and date (keys, passwords and the order of ids aside). Raises Conflict when the
    bank exists, DomainError for a bad code or size.
    """
    if Bank.objects.filter(code=code).exists():
        raise Conflict(
            _("Bank %(code)s exists already: choose another code, or remove it first.") % {"code": code},
            code="bank_exists",
        )
    try:
        plan = make_plan(customers=customers, seed=seed, date=date, to_the_day=to_the_day)
    except ValueError as error:
        raise DomainError(str(error), code="customers", fields={"customers": "range"}) from error
    org = make_organisation(plan)
    ensure_months(plan)
    with transaction.atomic():
        founded = found_bank(
            code=code,
            name=name or f"{words.CITY[:2]}农村商业银行",
            now=now,
            host=host,
            login=login,
            password=password,
        )
        with bank(founded.bank.pk):
            act_as(system_actor(founded.bank.pk, "make_bank"), reason="synthetic bank")
            rows = _fill(founded, plan, org, now, progress)
            rows["credit_file"] = make_credit_book(date=plan.date, now=now, seed=seed, region=words.CITY[:2])
            if is_living:
                rows |= make_living_credit(currency=founded.bank.currency, date=plan.date, now=now, seed=seed)
        Bank.objects.filter(pk=founded.bank.pk).update(data_as_of=_closing(plan.date))
    analyze(sorted({target.table for target in TARGETS.values()} | {"customers_standing"}))
    return MadeBank(founded, plan, rows)


def _closing(day: dt.date) -> dt.datetime:
    """When the core closed the day: all rows are as of then."""
    return dt.datetime.combine(day, dt.time(22, 0), tzinfo=dt.timezone(dt.timedelta(hours=8)))


def ensure_months(plan: Plan) -> None:
    """Partitions of every month of the history and the next one, before the long transaction."""
    first = month_start(dt.date(1970, 1, 1) + dt.timedelta(days=plan.start))
    months = [add_months(first, i) for i in range(17) if add_months(first, i) <= add_months(plan.date, 1)]
    with connection.cursor() as cursor:
        for table in ("customers_balancechange", "customers_transaction", "customers_monthend"):
            cursor.execute("select banyan_ensure_month(%s, m) from unnest(%s::date[]) m", [table, months])


def _fill(
    founded: FoundedBank, plan: Plan, org: Organisation, now: dt.datetime, progress: Progress
) -> dict[str, int]:
    bank_id = founded.bank.pk
    units, staff = _organisation(founded, plan, org, now)
    products = _products(plan)
    _fx_rates(plan)
    analyze(_OWNERS)
    parameters: dict[str, Any] = {
        "bank": bank_id,
        "stamp": _closing(plan.date),
        "date": plan.date,
        "currency": founded.bank.currency,
        "kinds": list(ENTRY_KINDS),
        "channels": list(CHANNELS),
        "purposes": list(_PURPOSES),
        "parties": [name for names in _PARTIES for name in (*names, *[""] * (10 - len(names)))],
        "widths": [max(len(names), 1) for names in _PARTIES],
    }
    keys = BankKeys(
        bank_id, founded.bank.code, bytes(founded.bank.wrapped_key), master_key(settings.MASTER_KEY)
    )
    rows: dict[str, int] = {}
    with connection.cursor() as cursor:
        for name, target in TARGETS.items():
            cursor.execute(f"create temp table made_{name} ({target.columns}) on commit drop")

        def ids_for(index: int) -> Ids:
            people, accounts, loans = (
                _take_ids(table, count)
                for table, count in zip(
                    ("customers_customer", "customers_account", "customers_loan"),
                    ids_needed(plan, index),
                    strict=True,
                )
            )
            return Ids(people, accounts, loans, units, staff, products)

        for index, streams in enumerate(_rendered(plan, keys, ids_for)):
            for stream in streams:
                _load(cursor, stream, parameters)
                if index == 0 and stream.name in _PARENTS:
                    analyze([TARGETS[stream.name].table])
                if stream.name == "customer":
                    cursor.execute(_STANDING, parameters)
                    cursor.execute("truncate made_customer")
                rows[stream.name] = rows.get(stream.name, 0) + stream.rows
            progress(min((index + 1) * (plan.customers // plan.chunks), plan.customers), plan.customers)
        for name in TARGETS:
            cursor.execute(f"drop table made_{name}")
    rows["line"] = make_lines(bank_id, currency=founded.bank.currency, date=plan.date, seed=plan.seed)
    return rows


def _rendered(plan: Plan, keys: BankKeys, ids_for: Callable[[int], Ids]) -> Iterator[list[Stream]]:
    """Chunks in order; with more than one, a second process makes the next while this one loads."""
    if plan.chunks == 1:
        yield render_chunk(plan, 0, ids_for(0), keys)
        return
    with _single_threaded(), ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = pool.submit(render_chunk, plan, 0, ids_for(0), keys)
        for index in range(plan.chunks):
            streams = waiting.result()
            if index + 1 < plan.chunks:
                waiting = pool.submit(render_chunk, plan, index + 1, ids_for(index + 1), keys)
            yield streams


@contextmanager
def _single_threaded() -> Iterator[None]:
    """The rendering process inherits one thread for NumPy: the other core belongs to the database."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]


def _take_ids(table: str, count: int) -> np.ndarray:
    with connection.cursor() as cursor:
        cursor.execute(
            "select array_agg(nextval(pg_get_serial_sequence(%s, 'id'))) from generate_series(1, %s)",
            [table, count],
        )
        row = cursor.fetchone()
    return np.array(row[0] if row else [], np.int64)


def _load(cursor: CursorWrapper, stream: Stream, parameters: dict[str, Any]) -> None:
    if not stream.rows:
        return
    target, raw = TARGETS[stream.name], cursor.connection.cursor()
    how = " (format binary)" if stream.is_binary else ""
    with raw.copy(f"copy made_{stream.name} from stdin{how}") as copy:
        for start in range(0, len(stream.data), 1 << 20):
            copy.write(stream.data[start : start + (1 << 20)])
    statement = f"insert into {target.table} (bank_id, {target.into}) select %(bank)s, {target.select} from made_{stream.name}"
    cursor.execute(statement, parameters)
    if stream.name != "customer":  # the standing rows are made of them
        cursor.execute(f"truncate made_{stream.name}")


def _organisation(
    founded: FoundedBank, plan: Plan, org: Organisation, now: dt.datetime
) -> tuple[np.ndarray, np.ndarray]:
    """Units, a second administrator, people and their roles; returns ids by position."""
    head_office = OrgUnit.objects.get(parent__isnull=True)
    made = [head_office]
    for unit in org.units[1:]:
        made.append(
            OrgUnit.objects.create(
                code=unit.code,
                name=unit.name,
                kind=OrgUnitKind(unit.kind),
                parent=made[unit.parent],
                region=unit.region,
                source_as_of=_closing(plan.date),
            )
        )
    renumber_tree()
    first = Staff.objects.get(number=founded.login)
    names = Names(np.random.default_rng([plan.seed, 2])).people(np.array(["M", "F"]), np.array([1978, 1985]))
    Staff.objects.filter(pk=first.pk).update(name=names[0])
    second = Staff.objects.create_user(
        SECOND_ADMINISTRATOR, None, name=names[1], unit=head_office, language=founded.bank.language
    )
    begin = plan.end_dates[0] - dt.timedelta(days=400)
    RoleGrant.objects.create(
        staff=second, role=Role.ADMINISTRATOR, unit=head_office, from_date=begin, status=GrantStatus.EFFECTIVE,
        founding=True, proposed_at=now, decided_at=now,
    )  # fmt: skip
    people = Staff.objects.bulk_create(
        [
            Staff(
                number=person.number,
                name=person.name,
                unit=made[person.unit],
                grade=person.grade,
                line_department=person.line_department,
                password=f"!{secrets.token_urlsafe(30)}",
                language=founded.bank.language,
                source_as_of=_closing(plan.date),
            )
            for person in org.people
        ],
        batch_size=500,
    )
    RoleGrant.objects.bulk_create(
        [
            RoleGrant(
                staff=staff,
                role=Role(person.role),
                unit=made[person.unit],
                from_date=begin,
                status=GrantStatus.EFFECTIVE,
                proposed_by=first,
                proposed_at=now,
                decided_by=second,
                decided_at=now,
            )
            for staff, person in zip(people, org.people, strict=True)
        ],
        batch_size=500,
    )
    return np.array([u.pk for u in made], np.int64), np.array([s.pk for s in people], np.int64)


def _products(plan: Plan) -> np.ndarray:
    made = Product.objects.bulk_create(
        [
            Product(
                code=code, name=name, family=family, customer_kinds=kinds, source_as_of=_closing(plan.date)
            )
            for code, name, family, kinds in words.PRODUCTS
        ]
    )
    return np.array([p.pk for p in made], np.int64)


def _fx_rates(plan: Plan) -> None:
    """A rate a day over the history, a small random walk."""
    rng = np.random.default_rng([plan.seed, 3])
    count = plan.day - plan.start + 1
    rates = []
    for currency, level, sigma in FX:
        path = level * np.exp(np.cumsum(rng.normal(0, sigma, count)) * 0.4)
        for offset, rate in enumerate(path.tolist()):
            day = dt.date(1970, 1, 1) + dt.timedelta(days=plan.start + offset)
            rates.append(FxRate(currency=currency, rate_date=day, rate=Decimal(f"{rate:.6f}")))
    FxRate.objects.bulk_create(rates, batch_size=2_000)
