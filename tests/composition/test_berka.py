"""The Berka bank as loaded, against its files read by an oracle that shares no code with the loader."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.conf import settings

from credit_rating.models import LoanOutcome
from credit_rating.selectors.outcomes import outcome_rows
from crm_site.accounts.models import Bank, OrgUnit
from crm_site.composition.berka import Loaded, load, loan_history
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank
from customers.models import (
    Account,
    AccountHolder,
    BalanceChange,
    Card,
    Customer,
    Loan,
    LoanBalance,
    LoanInstalment,
    StandingOrder,
    Transaction,
)

FOLDER = Path(os.environ.get("BANYAN_SAMPLES", settings.BASE_DIR.parent / "shared" / "data")) / "berka"
NOW = dt.datetime(2026, 11, 20, 1, 30, tzinfo=dt.UTC)
TODAY = NOW.date()
needs_files = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the Berka files are not at {FOLDER}")


class TestLoanHistory:
    """A loan of 3 x 100 granted on 10 January; instalments on the 12th."""

    def states(self, **paid: str) -> list[tuple[str, Decimal, Decimal, str]]:
        found = loan_history(
            granted=dt.date(1994, 1, 10), amount=Decimal(300), instalment=Decimal(100), months=3,
            paid={dt.date.fromisoformat(day[1:].replace("_", "-")): Decimal(sum_) for day, sum_ in paid.items()},
            last_day=dt.date(1994, 3, 31),
        )  # fmt: skip
        return [
            (s.date.isoformat(), s.outstanding, s.overdue, s.since.isoformat() if s.since else "")
            for s in found
        ]

    def test_paid_on_time_owes_less_and_is_never_overdue(self) -> None:
        states = self.states(d1994_01_12="100", d1994_02_12="99.60", d1994_03_12="100.20")
        assert [s[1] for s in states] == [300, 200, Decimal("100.40"), Decimal("0.20")]
        assert all(s[2] == 0 for s in states)

    def test_overdue_counts_from_the_oldest_instalment_not_covered(self) -> None:
        states = self.states(d1994_02_20="150")
        assert states == [
            ("1994-01-10", 300, 0, ""),
            ("1994-01-12", 300, 100, "1994-01-12"),
            ("1994-02-12", 300, 200, "1994-01-12"),
            ("1994-02-20", 150, 50, "1994-02-12"),
            ("1994-03-12", 150, 150, "1994-02-12"),
        ]

    def test_a_loan_of_the_future_does_not_exist_yet(self) -> None:
        later = loan_history(
            granted=dt.date(1995, 1, 1), amount=Decimal(1), instalment=Decimal(1), months=1, paid={},
            last_day=dt.date(1994, 3, 31),
        )  # fmt: skip
        assert list(later) == []


@pytest.fixture(scope="module")
def berka(
    django_db_setup: None, django_db_blocker: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    """Loaded twice, in a transaction that is rolled back after this module."""
    from django.db import transaction

    kept, settings.MEDIA_ROOT = settings.MEDIA_ROOT, tmp_path_factory.mktemp("files")
    with django_db_blocker.unblock(), transaction.atomic():
        load(FOLDER, code="berka-test", now=NOW)
        yield load(FOLDER, code="berka-test", now=NOW)
        transaction.set_rollback(True)
    settings.MEDIA_ROOT = kept


@pytest.fixture
def inside_berka(berka: Loaded) -> Iterator[Bank]:
    with bank(berka.bank.pk):
        yield berka.bank


@pytest.fixture(scope="module")
def ledger() -> pd.DataFrame:
    """The ledger as the file has it: account, day, signed amount in tenths of a crown, balance."""
    rows = pd.read_csv(next(FOLDER.glob("trans_*.csv")), sep=";", dtype={"date": str}, keep_default_na=False)
    sign = rows["type"].map(lambda kind: 1 if kind == "PRIJEM" else -1)
    return pd.DataFrame(
        {
            "account": rows["account_id"].astype(str),
            "day": pd.to_datetime("19" + rows["date"]),
            "amount": (rows["amount"].astype(float) * 10).round().astype("int64") * sign,
            "balance": rows["balance"].astype(float),
            "is_loan": rows["k_symbol"] == "UVER",
        }
    )


@needs_files
@pytest.mark.django_db
class TestBerka:
    def test_everything_of_the_files_is_there_once(self, inside_berka: Bank) -> None:
        assert OrgUnit.objects.filter(kind="branch").count() == 77
        assert Customer.objects.count() == 5369
        assert Account.objects.count() == 4500
        assert StandingOrder.objects.count() == 6471
        assert Card.objects.count() == 892
        assert Loan.objects.count() == 328
        assert Transaction.objects.count() == 46997
        assert AccountHolder.objects.filter(role="owner").count() == 4500
        assert AccountHolder.objects.count() == 5369
        assert Account.objects.filter(pk__in=Transaction.objects.values("account_id")).count() == 1229

    def test_loading_again_changed_nothing(self, berka: Loaded) -> None:
        for feed, batch in berka.batches.items():
            assert (batch.rows_inserted, batch.rows_updated, batch.rows_rejected) == (0, 0, 0), feed
        assert berka.login == ""

    def test_customers_are_where_their_account_is(self, inside_berka: Bank) -> None:
        accounts = pd.read_csv(FOLDER / "account.asc", sep=";")
        clients = pd.read_csv(FOLDER / "client.asc", sep=";")
        held = pd.read_csv(FOLDER / "disp.asc", sep=";").merge(accounts, on="account_id")
        owned = held[held["type"] == "OWNER"].set_index("client_id")["district_id"]
        expected = {
            str(row.client_id): str(owned.get(row.client_id, row.district_id)) for row in clients.itertuples()
        }
        assert dict(Customer.objects.values_list("number", "home_branch__code")) == expected
        born = dict(Customer.objects.values_list("number", "birth_date"))
        assert born["1"] == dt.date(1970, 12, 13)
        assert Customer.objects.get(number="1").gender == "F"

    def test_day_ends_agree_with_the_ledger_at_every_month_end(
        self, inside_berka: Bank, ledger: pd.DataFrame
    ) -> None:
        """The last day with entries up to each month-end: one of that day's ledger balances, within a crown."""
        last = ledger["day"].max()
        changes = pd.DataFrame(
            BalanceChange.objects.order_by("date").values_list("account__number", "date", "balance"),
            columns=["account", "day", "computed"],
        )
        changes["day"] = pd.to_datetime(changes["day"]).astype(ledger["day"].dtype)
        changes["computed"] = changes["computed"].astype(float)
        checked = 0
        for end in pd.date_range("1993-01-31", "1994-03-31", freq="ME"):  # March 1994 ends with the ledger
            before = ledger[ledger["day"] <= min(end, last)]
            last_day = before[before["day"] == before.groupby("account")["day"].transform("max")]
            standing = changes[changes["day"] <= end].groupby("account")["computed"].last()
            gap = (
                (last_day["balance"] - last_day["account"].map(standing))
                .abs()
                .groupby(last_day["account"])
                .min()
            )
            assert gap.max() < 1, end
            checked += len(gap)
        assert checked == 10_958

    def test_balance_days_are_those_of_a_day_by_day_count(
        self, inside_berka: Bank, ledger: pd.DataFrame
    ) -> None:
        """Averages over 30 days from the stored sums, against every day written out."""
        last = ledger["day"].max()
        days = pd.date_range("1993-01-01", last)
        for account in ledger["account"].drop_duplicates().sample(60, random_state=7):
            rows = ledger[ledger["account"] == account]
            daily = rows.groupby("day")["amount"].sum().cumsum().reindex(days).ffill().fillna(0)
            expected = int(daily[-30:].clip(lower=0).sum()) * 10
            below = int((-daily[-30:]).clip(lower=0).sum()) * 10
            assert self.window(account, last) == (expected, below)

    def window(self, account: str, last: pd.Timestamp) -> tuple[int, int]:
        """Sum of positive and of negative end-of-day balances over the 30 days up to `last`, in cents x days."""
        first, after = last.date() - dt.timedelta(days=29), last.date() + dt.timedelta(days=1)

        def up_to(day: dt.date) -> tuple[int, int]:
            row = (
                BalanceChange.objects.filter(account__number=account, date__lte=day).order_by("-date").first()
            )
            if row is None:
                return 0, 0
            cents = int(row.balance * 100)
            span = (day - row.date).days
            return row.positive_days + span * max(cents, 0), row.negative_days + span * max(-cents, 0)

        (p1, n1), (p0, n0) = up_to(after), up_to(first)
        return p1 - p0, n1 - n0

    def test_overdrawn_accounts(self, ledger: pd.DataFrame, inside_berka: Bank) -> None:
        below = ledger[ledger["balance"] < 0]
        assert (len(below), below["account"].nunique()) == (88, 26)
        stored = set(
            BalanceChange.objects.filter(negative_days__gt=0).values_list("account__number", flat=True)
        )
        assert stored <= set(below["account"])

    def test_loans_owe_their_amount_less_what_was_paid(
        self, inside_berka: Bank, ledger: pd.DataFrame
    ) -> None:
        loans = pd.read_csv(next(FOLDER.glob("loan_*.asc")), sep=";", dtype={"date": str})
        loans["granted"] = pd.to_datetime("19" + loans["date"])
        paid = -ledger[ledger["is_loan"]].groupby("account")["amount"].sum() / 10
        known = loans[loans["granted"] <= ledger["day"].max()]
        assert len(known) == 37
        for row in known.itertuples():
            loan = Loan.objects.get(number=str(row.loan_id))
            assert float(loan.outstanding) == pytest.approx(row.amount - paid.get(str(row.account_id), 0.0))
            assert loan.customer_id == loan.account.owner_id
        assert set(
            LoanBalance.objects.filter(date__lte=ledger["day"].max()).values_list("loan__number", flat=True)
        ) == {str(n) for n in known["loan_id"]}
        assert LoanInstalment.objects.count() == int(loans["duration"].sum())
        late = Loan.objects.filter(overdue_amount__gt=0).values_list("number", "days_past_due")
        assert list(late) == [("5314", 212)]  # due 12 August, last counted on 12 March

    def test_status_letters_are_nowhere(self, inside_berka: Bank) -> None:
        assert set(Loan.objects.values_list("status", flat=True)) == {"active"}
        assert set(Loan.objects.values_list("purpose", flat=True)) == {""}


# -- outcomes of loans as a development sample: with nothing of the loan's day or later ---------------------------------


@pytest.fixture(scope="module")
def files() -> dict[str, pd.DataFrame]:
    """The files as they are, days as dates."""
    names = {"loan": "loan_*.asc", "account": "account.asc", "client": "client.asc", "disp": "disp.asc",
             "order": "order.asc", "card": "card.asc", "trans": "trans_*.csv"}  # fmt: skip
    found = {
        name: pd.read_csv(next(FOLDER.glob(glob)), sep=";", dtype=str, keep_default_na=False)
        for name, glob in names.items()
    }
    for frame in found.values():
        for column in ("date", "issued"):
            if column in frame:
                frame[column] = pd.to_datetime("19" + frame[column].str[:6])
    trans = found["trans"]
    trans["signed"] = trans["amount"].astype(float) * trans["type"].map(lambda t: 1 if t == "PRIJEM" else -1)
    return found


def by_hand(files: dict[str, pd.DataFrame], loan: Any) -> dict[str, float | None]:
    """Features of one loan from the files, by a calendar of days instead of spans."""
    day = pd.Timedelta(days=1)
    trans = files["trans"]
    known = min(loan.date - day, trans["date"].max())
    opened = files["account"].set_index("account_id").loc[loan.account_id, "date"]
    owner = files["disp"].query("account_id == @loan.account_id and type == 'OWNER'")["client_id"].iloc[0]
    cards = files["card"].merge(files["disp"], on="disp_id")
    found: dict[str, float | None] = {
        "amount": float(loan.amount), "payment": float(loan.payments), "duration_months": int(loan.duration),
        "account_days": (loan.date - opened).days,
        "cards": int(((cards["client_id"] == owner) & (cards["issued"] < loan.date)).sum()),
    }  # fmt: skip
    mine = trans[(trans["account_id"] == loan.account_id) & (trans["date"] <= known)]
    if mine.empty:
        return found | dict.fromkeys(("balance_last", "balance_avg_180", "inflow_month", "orders"))
    ends = (
        mine.groupby("date")["signed"]
        .sum()
        .cumsum()
        .reindex(pd.date_range(mine["date"].min(), known))
        .ffill()
    )
    since = max(known - 179 * day, opened, trans["date"].min())
    window = ends[ends.index >= since]
    flows = mine[mine["date"] >= since]["signed"]
    covered = (known - since).days + 1
    orders = files["order"][files["order"]["account_id"] == loan.account_id]
    paid = {(t.account, float(t.amount)) for t in mine.itertuples() if t.type != "PRIJEM"}
    return found | {
        "balance_last": ends.iloc[-1],
        "balance_avg_180": window.mean(),
        "balance_avg_30": ends[ends.index > known - 30 * day].mean(),
        "balance_min_180": window.min(),
        "overdrawn_days_180": int((window.round(2) < 0).sum()),
        "inflow_month": flows[flows > 0].sum() * 30 / covered,
        "outflow_month": -flows[flows < 0].sum() * 30 / covered,
        "orders": sum((o.account_to, float(o.amount)) in paid for o in orders.itertuples()),
        "ledger_age_days": (loan.date - day - known).days,
    }


@needs_files
@pytest.mark.django_db
def test_features_are_those_of_the_files_before_the_loan(
    berka: Loaded, files: dict[str, pd.DataFrame]
) -> None:
    with bank(berka.bank.pk):
        rows = {row["number"]: row for row in outcome_rows(system_actor(berka.bank.pk, "test"), TODAY)}
    loans = {loan.loan_id: loan for loan in files["loan"].itertuples()}
    assert {number: row["code"] for number, row in rows.items()} == {
        n: loan.status for n, loan in loans.items()
    }
    with_history = 0
    for number, loan in loans.items():
        for name, expected in by_hand(files, loan).items():
            got = rows[number][name]
            if expected is None:
                assert got is None, (number, name)
            else:
                assert float(got) == pytest.approx(expected, abs=0.011), (number, name)
        with_history += rows[number]["balance_last"] is not None
    assert with_history == 160


@needs_files
@pytest.mark.django_db
def test_no_outcome_is_known_before_it_was_observed(berka: Loaded) -> None:
    actor = system_actor(berka.bank.pk, "test")
    with bank(berka.bank.pk):
        assert LoanOutcome.objects.count() == 328
        assert list(outcome_rows(actor, dt.date(1998, 12, 30))) == []
        assert len(list(outcome_rows(actor, dt.date(1998, 12, 31)))) == 328
    assert berka.outcomes == (0, 0)  # the second load brought nothing new
