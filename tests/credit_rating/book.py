"""A corporate customer with statements, collected information and guarantees, for tests. Call inside the bank."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from credit_rating.models import BankCapital, Statement
from credit_rating.services import collection
from credit_rating.services import guarantees as guaranteeing
from credit_rating.services.guarantees import Proof, Thing
from crm_site.lib.permissions import Actor
from customers.models import Customer
from tests.conftest import NOW, TODAY

D = Decimal
WAN = D(10_000)


def figures(sales: int = 3600, equity: int = 1000, cash: int = 200) -> dict[str, str]:
    """A statement that adds up, in 万."""
    rest = equity - 600
    liabilities = 1000
    assets = equity + liabilities
    wan = {
        "cash": cash, "receivables": 500, "prepayments": 40, "inventory": 360, "other_current_assets": 0,
        "current_assets": cash + 900, "fixed_assets": assets - cash - 1000, "intangible_assets": 100,
        "other_noncurrent_assets": 0, "total_assets": assets, "short_term_loans": 400, "payables": 300, "advances": 50,
        "other_current_liabilities": 50, "current_liabilities": 800, "long_term_loans": 200,
        "other_noncurrent_liabilities": 0, "total_liabilities": liabilities, "paid_in_capital": 600,
        "retained_earnings": rest, "other_equity": 0, "equity": equity, "sales": sales, "cost_of_sales": sales - 720,
        "operating_expenses": 400, "interest_expense": 40, "other_income": 20, "profit_before_tax": 300,
        "income_tax": 75, "net_profit": 225, "operating_cash_flow": 250, "investing_cash_flow": -100,
        "financing_cash_flow": -150, "net_cash_change": 0,
    }  # fmt: skip
    return {item: f"{amount * WAN}" for item, amount in wan.items()}


def add_statements(customer: Customer, years: tuple[int, ...] = (2023, 2024, 2025)) -> None:
    for i, year in enumerate(years):
        Statement.objects.create(
            customer=customer, year=year, report_date=dt.date(year, 12, 31),
            figures=figures(3000 + 300 * i, 900 + 50 * i), entered_at=NOW,
        )  # fmt: skip


COMPANY = {"own_funds": "1000000", "other_sources": "0", "growth": "10", "other_banks": "500000"}


def collect(actor: Actor, customer: Customer, values: dict[str, str] | None = None) -> None:
    """Submit a form with these values."""
    collection.save_draft(
        actor, customer=customer, typed=values or COMPANY, base={}, source="document", now=NOW, today=TODAY
    )
    collection.submit_form(actor, customer=customer, now=NOW)


def mortgage(actor: Actor, customer: Customer, **changed: Any) -> Any:
    given: dict[str, Any] = {
        "thing": Thing("factory", "沪(2021)松字第012345号", "Factory 388 Sizhuan Road"), "amount": D(3_000_000),
        "lien_order": 1, "prior_liens": D(0), "value": D(4_000_000), "valued_on": dt.date(2026, 9, 18),
        "valuer": "Zhongjing Valuers", "from_date": TODAY, "to_date": None, "note": "", "today": TODAY, "now": NOW,
    }  # fmt: skip
    return guaranteeing.mortgage_thing(actor, customer=customer, **{**given, **changed})


def put_in_force(actor: Actor, guarantee: Any, **changed: Any) -> Any:
    proof = Proof(**{"number": "沪(2026)松字不动产证明第0098765号", "on": TODAY, **changed})
    return guaranteeing.put_in_force(actor, guarantee=guarantee, proof=proof, today=TODAY)


def add_capital(net: int = 1_860_000_000, tier1: int = 1_620_000_000) -> None:
    for as_of in (dt.date(2026, 6, 30), dt.date(2026, 9, 30)):
        BankCapital.objects.create(
            as_of=as_of, net_capital=D(net), tier1_net_capital=D(tier1), source="1104", entered_at=NOW
        )
