"""Berka's outcomes as a development sample: against pandas on the files, and with nothing of the loan's day or later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from django.conf import settings

from credit_rating.models import LoanOutcome
from credit_rating.selectors.outcomes import outcome_rows
from crm_site.composition.berka import Loaded, load
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import bank
from tests.composition.test_berka import FOLDER, NOW, needs_files

TODAY = dt.date(2026, 11, 20)


@pytest.fixture(scope="module")
def berka(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    """Loaded once, in a transaction that is rolled back after this module."""
    from django.db import transaction

    kept, settings.MEDIA_ROOT = settings.MEDIA_ROOT, tmp_path_factory.mktemp("files")
    with django_db_blocker.unblock(), transaction.atomic():
        yield load(FOLDER, code="berka-test", now=NOW)
        transaction.set_rollback(True)
    settings.MEDIA_ROOT = kept


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
        assert Decimal(berka.outcomes[0]) == 328
