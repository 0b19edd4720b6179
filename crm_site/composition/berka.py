"""The Berka files (a Czech bank, 1993-1998; PKDD'99) as deliveries of the ordinary feeds.

Only what the files say. Two things are derived: end-of-day balances (previous end + the day's entries; the ledger's
own balance column serves as control total) and what a loan owes and is overdue by (from its UVER entries). A loan's
status letter is an outcome known only later: it goes to the outcomes that scorecards are developed from, nowhere else.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from django.db import transaction

from credit_rating.services.outcomes import take_outcomes
from crm_site.accounts.models import Bank
from crm_site.accounts.services import found_bank
from crm_site.lib.dates import add_months
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank
from customers.ingest.feeds import FEEDS
from customers.ingest.services import process_batch, receive
from customers.models import Batch
from segmentation.services import set_default_value_policy

FILES = {
    "district": "district.asc",
    "client": "client.asc",
    "disp": "disp.asc",
    "account": "account.asc",
    "order": "order.asc",
    "card": "card.asc",
    "loan": "loan_*.asc",
    "trans": "trans_*.csv",
}
CURRENCY, TIME_ZONE, LANGUAGE = "CZK", "Europe/Prague", "en"
DUE_DAY = 12
# The letters say how loans stood when the files were drawn: A and B had ended by then, C and D had not.
OBSERVED_ON = dt.date(1998, 12, 31)
# The loan file gives instalments in whole crowns, the ledger pays them to the heller: half a crown is no arrears.
ROUNDING = Decimal("0.50")
PURPOSES = {
    "SIPO": "household",
    "SLUZBY": "statement fee",
    "UROK": "interest",
    "SANKC. UROK": "penalty interest",
    "DUCHOD": "pension",
    "UVER": "loan instalment",
    "POJISTNE": "insurance",
    "LEASING": "leasing",
}
OPERATIONS = {
    "VKLAD": ("cash_in", "counter"),
    "PREVOD Z UCTU": ("transfer_in", "transfer"),
    "VYBER": ("cash_out", "counter"),
    "PREVOD NA UCET": ("transfer_out", "transfer"),
    "VYBER KARTOU": ("card_cash_out", "card"),
    "": ("interest", ""),
}
FREQUENCIES = {
    "POPLATEK MESICNE": ("CUR-M", "Current account, monthly statement"),
    "POPLATEK TYDNE": ("CUR-W", "Current account, weekly statement"),
    "POPLATEK PO OBRATU": ("CUR-T", "Current account, statement after each entry"),
}
LOAN_PRODUCT = ("LOAN", "Instalment loan")
CARD_TYPES = {"junior": "CARD-J", "classic": "CARD-C", "gold": "CARD-G"}
Row = dict[str, str]


def day_of(text: str) -> dt.date:
    """YYMMDD, all in the twentieth century."""
    return dt.date(1900 + int(text[:2]), int(text[2:4]), int(text[4:6]))


@dataclass(frozen=True)
class Difference:
    """A day's end that agrees with none of the ledger's own balances of that day."""

    account: str
    date: dt.date
    computed: Decimal
    delivered: Decimal

    @property
    def amount(self) -> Decimal:
        return self.computed - self.delivered


@dataclass
class Berka:
    """The files of a folder. Raises DomainError when one is missing."""

    folder: Path
    _read: dict[str, list[Row]] = field(default_factory=dict)

    def rows(self, name: str) -> list[Row]:
        """One file's rows, text as it stands."""
        if name not in self._read:
            found = sorted(self.folder.glob(FILES[name]))
            if not found:
                raise DomainError(f"{self.folder} has no file {FILES[name]}.", code="missing_file")
            with found[0].open(encoding="utf-8", newline="") as file:
                self._read[name] = [
                    {key: value.strip() for key, value in row.items()}
                    for row in csv.DictReader(file, delimiter=";")
                ]
        return self._read[name]

    @cached_property
    def owners(self) -> dict[str, str]:
        """account -> client who owns it"""
        return {row["account_id"]: row["client_id"] for row in self.rows("disp") if row["type"] == "OWNER"}

    @cached_property
    def last_day(self) -> dt.date:
        """The ledger's last day: the business date of the load."""
        return max(day_of(row["date"]) for row in self.rows("trans"))

    @cached_property
    def entries(self) -> dict[str, dict[dt.date, list[Row]]]:
        """account -> day -> its ledger entries"""
        ledger: dict[str, dict[dt.date, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self.rows("trans"):
            ledger[row["account_id"]][day_of(row["date"])].append(row)
        return ledger

    @staticmethod
    def signed(row: Row) -> Decimal:
        amount = Decimal(row["amount"])
        return amount if row["type"] == "PRIJEM" else -amount

    def day_ends(self) -> Iterator[tuple[str, dt.date, Decimal]]:
        """(account, day, end-of-day balance): the previous end plus the day's entries."""
        for account, days in self.entries.items():
            balance = Decimal(0)
            for day in sorted(days):
                balance += sum(map(self.signed, days[day]), Decimal(0))
                yield account, day, balance

    def differences(self) -> Iterator[Difference]:
        """Day-ends that none of the day's delivered balances equals; the nearest delivered one beside it."""
        for account, day, computed in self.day_ends():
            delivered = [Decimal(row["balance"]) for row in self.entries[account][day]]
            nearest = min(delivered, key=lambda balance: abs(balance - computed))
            if nearest != computed:
                yield Difference(account, day, computed, nearest)

    # ---- the feeds

    def organisation(self) -> Iterator[Row]:
        for row in self.rows("district"):
            yield {"code": row["A1"], "name": row["A2"], "kind": "branch", "region": row["A3"]}

    def products(self) -> Iterator[Row]:
        persons = {"customer_kinds": "personal"}
        for code, name in FREQUENCIES.values():
            yield {"code": code, "name": name, "family": "deposit", **persons}
        yield {"code": LOAN_PRODUCT[0], "name": LOAN_PRODUCT[1], "family": "loan", **persons}
        for kind, code in CARD_TYPES.items():
            yield {"code": code, "name": f"Card {kind}", "family": "card", **persons}

    def customers(self) -> Iterator[Row]:
        """Clients. Home branch: the district of the owned account; for a disponent the client's own."""
        accounts = {row["account_id"]: row for row in self.rows("account")}
        owned = {client: accounts[account] for account, client in self.owners.items()}
        for row in self.rows("client"):
            client, birth = row["client_id"], row["birth_number"]
            month = int(birth[2:4])
            account = owned.get(client)
            yield {
                "number": client,
                "name": f"Client {client}",
                "kind": "personal",
                "gender": "F" if month > 50 else "M",
                "birth_date": day_of(
                    f"{birth[:2]}{month - 50 if month > 50 else month:02}{birth[4:]}"
                ).isoformat(),
                "branch": account["district_id"] if account else row["district_id"],
                "customer_since": day_of(account["date"]).isoformat() if account else "",
            }

    def accounts(self) -> Iterator[Row]:
        for row in self.rows("account"):
            yield {
                "number": row["account_id"],
                "owner": self.owners[row["account_id"]],
                "product": FREQUENCIES[row["frequency"]][0],
                "branch": row["district_id"],
                "kind": "current",
                "currency": CURRENCY,
                "opened_date": day_of(row["date"]).isoformat(),
            }

    def holders(self) -> Iterator[Row]:
        for row in self.rows("disp"):
            role = "owner" if row["type"] == "OWNER" else "joint"
            yield {"account": row["account_id"], "customer": row["client_id"], "role": role}

    def standing_orders(self) -> Iterator[Row]:
        for row in self.rows("order"):
            yield {
                "reference": row["order_id"],
                "account": row["account_id"],
                "amount": row["amount"],
                "currency": CURRENCY,
                "to_bank": row["bank_to"],
                "to_account": row["account_to"],
                "purpose": PURPOSES.get(row["k_symbol"], ""),
            }

    def cards(self) -> Iterator[Row]:
        disposals = {row["disp_id"]: row for row in self.rows("disp")}
        for row in self.rows("card"):
            disposal = disposals[row["disp_id"]]
            yield {
                "reference": row["card_id"],
                "customer": disposal["client_id"],
                "account": disposal["account_id"],
                "product": CARD_TYPES[row["type"]],
                "issued_date": day_of(row["issued"]).isoformat(),
            }

    def loans(self) -> Iterator[Row]:
        """Loans, owed by the account's owner; outstanding on the day they were granted: the amount."""
        for row in self.rows("loan"):
            granted = day_of(row["date"])
            dues = due_dates(granted, int(row["duration"]))
            yield {
                "number": row["loan_id"],
                "customer": self.owners[row["account_id"]],
                "account": row["account_id"],
                "product": LOAN_PRODUCT[0],
                "currency": CURRENCY,
                "amount": row["amount"],
                "outstanding": row["amount"],
                "granted_date": granted.isoformat(),
                "maturity_date": dues[-1].isoformat(),
                "as_of": granted.isoformat(),
                "schedule": ";".join(f"{due}:{row['payments']}" for due in dues),
            }

    def arrears(self) -> Iterator[Row]:
        """What each loan owed and was overdue by, on every day that something of it changed."""
        for row in self.rows("loan"):
            entries = self.entries.get(row["account_id"], {})
            paid = {
                day: sum((Decimal(r["amount"]) for r in rows if r["k_symbol"] == "UVER"), Decimal(0))
                for day, rows in entries.items()
            }
            for state in loan_history(
                granted=day_of(row["date"]), amount=Decimal(row["amount"]), instalment=Decimal(row["payments"]),
                months=int(row["duration"]), paid=paid, last_day=self.last_day,
            ):  # fmt: skip
                yield {
                    "loan": row["loan_id"],
                    "date": state.date.isoformat(),
                    "outstanding": str(state.outstanding),
                    "overdue_amount": str(state.overdue),
                    "overdue_since": state.since.isoformat() if state.since else "",
                }

    def outcomes(self) -> dict[str, str]:
        """loan -> status letter: A ended and paid, B ended unpaid, C running well, D running in debt."""
        return {row["loan_id"]: row["status"] for row in self.rows("loan")}

    def transactions(self) -> Iterator[Row]:
        for row in self.rows("trans"):
            kind, channel = OPERATIONS[row["operation"]]
            if not row["operation"] and row["type"] != "PRIJEM":
                kind = "charge"
            yield {
                "reference": row["trans_id"],
                "account": row["account_id"],
                "booked_date": day_of(row["date"]).isoformat(),
                "amount": str(self.signed(row)),
                "kind": kind,
                "channel": channel,
                "counterparty_bank": row["bank"],
                "counterparty_account": "" if row["account"] in ("", "0") else row["account"],
                "purpose": PURPOSES.get(row["k_symbol"], ""),
            }

    def balances(self) -> Iterator[Row]:
        for account, day, balance in self.day_ends():
            yield {"account": account, "date": day.isoformat(), "balance": str(balance)}

    def feeds(self) -> Iterable[tuple[str, Callable[[], Iterator[Row]]]]:
        """Feeds in the order in which their references resolve."""
        return (
            ("organisation", self.organisation),
            ("products", self.products),
            ("customers", self.customers),
            ("accounts", self.accounts),
            ("holders", self.holders),
            ("standing-orders", self.standing_orders),
            ("cards", self.cards),
            ("loans", self.loans),
            ("arrears", self.arrears),
            ("transactions", self.transactions),
            ("balances", self.balances),
        )


def due_dates(granted: dt.date, months: int) -> list[dt.date]:
    """Instalments fall due on the 12th, the first one after the day the loan was granted."""
    first = granted.replace(day=DUE_DAY)
    if first <= granted:
        first = add_months(first, 1)
    return [add_months(first, i) for i in range(months)]


@dataclass(frozen=True)
class LoanState:
    """A loan from `date` on: principal not yet paid, amount overdue, due date of the oldest instalment not covered."""

    date: dt.date
    outstanding: Decimal
    overdue: Decimal
    since: dt.date | None


def loan_history(
    *,
    granted: dt.date,
    amount: Decimal,
    instalment: Decimal,
    months: int,
    paid: dict[dt.date, Decimal],
    last_day: dt.date,
) -> Iterator[LoanState]:
    """The states of a loan on the days something changed, up to `last_day`; none when it was granted later.

    Outstanding = amount - payments so far. Payments cover the instalments in order; one is overdue from its due date
    on when what has been paid falls short of it by more than the rounding of the source (0.50 for each so far).
    """
    if granted > last_day:
        return
    dues = [due for due in due_dates(granted, months) if due <= last_day]
    payments = {day: sum_ for day, sum_ in paid.items() if sum_ and granted <= day <= last_day}
    previous: LoanState | None = None
    total = Decimal(0)
    for day in sorted({granted, *dues, *payments}):
        total += payments.get(day, Decimal(0))
        due = [date for date in dues if date <= day]
        uncovered = [date for i, date in enumerate(due, 1) if total < instalment * i - ROUNDING * i]
        overdue = instalment * len(due) - total if uncovered else Decimal(0)
        state = LoanState(day, amount - total, overdue, uncovered[0] if uncovered else None)
        if previous is None or (state.outstanding, state.overdue, state.since) != (
            previous.outstanding, previous.overdue, previous.since,
        ):  # fmt: skip
            yield state
        previous = state


@dataclass(frozen=True)
class Loaded:
    """What a load did: batches by feed, the bank's first login when it was founded, control differences; how many
    outcomes of loans are new and how many changed."""

    bank: Bank
    login: str
    password: str
    batches: dict[str, Batch]
    differences: list[Difference]
    day_ends: int
    outcomes: tuple[int, int]


def as_csv(rows: Iterator[Row]) -> Iterator[bytes]:
    """Rows as the text of a delivery, some at a time."""
    lines: list[str] = []
    header: list[str] | None = None
    for row in rows:
        if header is None:
            header = list(row)
            lines.append(",".join(header))
        lines.append(",".join(_quoted(value) for value in row.values()))
        if len(lines) >= 5000:
            yield ("\n".join(lines) + "\n").encode()
            lines = []
    yield ("\n".join(lines) + "\n").encode()


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(c in value for c in ',"\n') else value


def load(
    folder: Path, *, code: str, now: dt.datetime, progress: Callable[[str, int, int], Any] = lambda *_: None
) -> Loaded:
    """Load the folder into the bank, founding it when absent. Call outside every bank. Repeating changes nothing."""
    berka = Berka(folder)
    for name in FILES:
        berka.rows(name)
    found = Bank.objects.filter(code=code).first()
    login = password = ""
    if found is None:
        founded = found_bank(
            code=code,
            name=f"Berka ({code})",
            now=now,
            currency=CURRENCY,
            timezone=TIME_ZONE,
            language=LANGUAGE,
        )
        found, login, password = founded.bank, founded.login, founded.password
    if found.currency != CURRENCY:
        raise DomainError(
            f"Bank {code} keeps {found.currency}; these files are in {CURRENCY}.", code="currency"
        )
    with bank(found.pk):
        set_default_value_policy(
            high_deposits=Decimal(60_000), high_loans=Decimal(200_000), mid_deposits=Decimal(30_000),
            mid_loans=Decimal(50_000),
        )  # fmt: skip
    batches = {}
    for feed, rows in berka.feeds():
        with bank(found.pk):
            batches[feed] = _deliver(found, feed, rows(), berka.last_day, now, progress)
    with bank(found.pk):
        actor = system_actor(found.pk, "load_sample berka")
        outcomes = take_outcomes(actor, codes=berka.outcomes(), observed_on=OBSERVED_ON)
    return Loaded(
        found, login, password, batches, list(berka.differences()), sum(1 for _ in berka.day_ends()), outcomes
    )


def _deliver(
    at: Bank,
    feed: str,
    rows: Iterator[Row],
    business_date: dt.date,
    now: dt.datetime,
    progress: Callable[..., Any],
) -> Batch:
    with transaction.atomic():
        batch = receive(
            actor=system_actor(at.pk, "load_sample berka"),
            feed=FEEDS[feed],
            chunks=as_csv(rows),
            source="sample",
            now=now,
            business_date=business_date,
            file_name=f"berka {feed}",
        )
        batch = process_batch(batch.pk, progress=lambda done, total: progress(feed, done, total))
        if batch.rows_rejected:
            first = batch.errors.earliest("line", "id")
            what = f"line {first.line} {first.field} {first.message}"
            raise DomainError(f"{feed}: {batch.rows_rejected} rows rejected, first: {what}", code="rejected")
    return batch
