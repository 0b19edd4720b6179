"""The credit file of a synthetic bank: statements that add up, collected information, guarantees, the bank's capital.

Deterministic by seed and the customers' numbers. Small on purpose: at most MOST companies, spread over the book.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Sum

from credit_rating.engine.guarantees import object_key
from credit_rating.models import (
    BankCapital,
    Collateral,
    CreditPolicy,
    ExternalExposure,
    Guarantee,
    GuaranteeStatus,
    GuarantorCapacity,
    Impairment,
    RelatedParty,
    Statement,
    StatementSource,
    Valuation,
)
from credit_rating.selectors.at_stake import quarter_end_before
from crm_site.lib.dates import add_months, month_start
from customers.models import Customer, CustomerKind, Loan

MOST = 240
LPR_DAY, FRIDAY = 20, 4
THOUSAND = 1000
# Net capital over loans, and tier 1 over net capital, of a well capitalised rural bank: its greatest customers come near
# their caps, and a case that asks for more breaks one.
CAPITAL_OF_LOANS, TIER1_OF_NET = Decimal("0.21"), Decimal("0.87")
THINGS = (
    ("factory", "工业厂房", "不动产权第"), ("shop", "临街商铺", "不动产权第"), ("equipment", "数控机床一批", "动产登记"),
    ("land_use", "工业用地使用权", "国用第"),
)  # fmt: skip
LENDERS = ("中国农业银行", "中国建设银行", "江苏银行", "邮政储蓄银行", "招商银行")
VALUERS = ("中景资产评估", "申信房地产估价", "正衡评估")


def make_credit_book(*, date: dt.date, now: dt.datetime, seed: int, region: str) -> int:
    """Fill the active bank's credit files; returns how many companies got one. Call once, inside the bank."""
    loans = dict(
        Loan.objects.filter(customer__kind=CustomerKind.CORPORATE, status="active")
        .order_by()
        .values_list("customer_id")
        .annotate(total=Sum("outstanding"))
    )
    borrowers = list(Customer.objects.filter(pk__in=loans).select_related("responsible").order_by("number"))
    chosen = borrowers[:: max(1, len(borrowers) // MOST)][:MOST]
    _capital(date, now)
    _loan_prime_rate(date)
    statements: list[Statement] = []
    for customer in chosen:
        dice = _dice(seed, customer)
        statements += make_statements(customer.pk, loans[customer.pk], date, now, dice)
    Statement.objects.bulk_create(statements, batch_size=500)
    equity = {s.customer_id: Decimal(s.figures["equity"]) for s in statements}
    for position, customer in enumerate(chosen):
        dice = _dice(seed, customer, "-2")
        _elsewhere(customer, date, now, _dice(seed, customer, "-3"))
        _guarantees(customer, loans[customer.pk], f"{region}({date.year - 4})", position, date, now, dice)
    _promises(chosen, loans, equity, date, now)
    _impairments(date, now, seed)
    for customer in Customer.objects.filter(is_related_party=True).order_by("number")[:3]:
        RelatedParty.objects.create(
            customer=customer, kind="controlled" if customer.kind == CustomerKind.CORPORATE else "relative",
            basis="董事任职企业" if customer.kind == CustomerKind.CORPORATE else "董事近亲属", from_date=date - dt.timedelta(days=400),
            entered_at=now,
        )  # fmt: skip
    return len(chosen)


def _dice(seed: int, of: Customer | Loan, turn: str = "") -> random.Random:
    """A customer's or a loan's own dice, the same for the same seed."""
    return random.Random(f"{seed}-{of.number}{turn}")  # noqa: S311 - a made-up bank, not a secret


def _capital(date: dt.date, now: dt.datetime) -> None:
    whole = Loan.objects.filter(status="active").aggregate(total=Sum("outstanding"))["total"] or Decimal(0)
    net = (whole * CAPITAL_OF_LOANS).quantize(Decimal(10_000)) or Decimal(10_000_000)
    quarter = quarter_end_before(date)
    for as_of, part in ((quarter_end_before(quarter), Decimal("0.98")), (quarter, Decimal(1))):
        held = (net * part).quantize(Decimal("0.01"))
        BankCapital.objects.create(
            as_of=as_of, net_capital=held, tier1_net_capital=(held * TIER1_OF_NET).quantize(Decimal("0.01")),
            source="监管报表", entered_at=now,
        )  # fmt: skip


def _loan_prime_rate(date: dt.date) -> None:
    """The rate as published every month up to the bank's business date: unchanged since the newest that a bank comes with.
    Nothing has been priced by the founding policy yet."""
    policy = CreditPolicy.objects.get(subject="pricing", founding=True)
    rows = policy.body["tables"]["lpr"]
    newest = rows[-1]
    month = add_months(month_start(dt.date.fromisoformat(newest["date"])), 1)
    while (published := _working_day(month.replace(day=LPR_DAY))) <= date:
        rows.append(newest | {"date": published.isoformat()})
        month = add_months(month, 1)
    policy.save(update_fields=["body"])


def _working_day(day: dt.date) -> dt.date:
    """The day itself, or the Monday after it."""
    return day if day.weekday() <= FRIDAY else day + dt.timedelta(days=7 - day.weekday())


def make_statements(
    customer_id: int, loans: Decimal, date: dt.date, now: dt.datetime, dice: random.Random, least: int = 3_000
) -> list[Statement]:
    """Three years in whole thousands: sums from parts, cash from the cash flow of the year before. `least`: sales."""
    sales = max(int(loans / THOUSAND * Decimal(dice.uniform(2.2, 4.5))), least)
    growth, margin = dice.uniform(-0.04, 0.22), dice.uniform(0.04, 0.12)
    cash = int(sales * dice.uniform(0.04, 0.09))
    made = []
    for year in range(date.year - 3, date.year):
        now_sales = int(sales * (1 + growth) ** (year - date.year + 1))
        profit = int(now_sales * margin * dice.uniform(0.85, 1.15))
        flow = int(profit * dice.uniform(0.9, 1.6))
        invested = -int(now_sales * dice.uniform(0.02, 0.06))
        before, cash = cash, max(int(now_sales * dice.uniform(0.04, 0.09)), 1)
        figures = _year(now_sales, profit, cash, int(loans / THOUSAND), dice) | {
            "operating_cash_flow": flow, "investing_cash_flow": invested,
            "financing_cash_flow": cash - before - flow - invested, "net_cash_change": cash - before,
        }  # fmt: skip
        made.append(
            Statement(
                customer_id=customer_id, year=year, report_date=dt.date(year, 12, 31), is_audited=dice.random() < 0.6,
                figures={item: f"{amount * THOUSAND}.00" for item, amount in figures.items()},
                source=StatementSource.FEED, entered_at=now,
            )
        )  # fmt: skip
    return made


def _year(sales: int, profit: int, cash: int, loans: int, dice: random.Random) -> dict[str, int]:
    cost = int(sales * dice.uniform(0.74, 0.82))
    interest = int(loans * 0.045)
    receivables, inventory = int(sales * dice.uniform(0.10, 0.17)), int(cost * dice.uniform(0.12, 0.2))
    prepayments, payables = int(cost * 0.015), int(cost * dice.uniform(0.07, 0.12))
    advances, other_liabilities = int(sales * 0.01), int(sales * 0.02)
    fixed, intangible = int(sales * dice.uniform(0.28, 0.42)), int(sales * 0.03)
    current = cash + receivables + inventory + prepayments
    current_liabilities = loans + payables + advances + other_liabilities
    # Whatever the year's draw, owners hold at least a quarter of the liabilities: the rest stands in fixed assets.
    least = current_liabilities + current_liabilities // 4
    fixed = max(fixed, least - current - intangible)
    equity = current + fixed + intangible - current_liabilities
    tax = profit // 4
    return {
        "cash": cash, "receivables": receivables, "prepayments": prepayments, "inventory": inventory,
        "other_current_assets": 0, "current_assets": current, "fixed_assets": fixed, "intangible_assets": intangible,
        "other_noncurrent_assets": 0, "total_assets": current + fixed + intangible, "short_term_loans": loans,
        "payables": payables, "advances": advances, "other_current_liabilities": other_liabilities,
        "current_liabilities": current_liabilities, "long_term_loans": 0, "other_noncurrent_liabilities": 0,
        "total_liabilities": current_liabilities, "paid_in_capital": equity // 2,
        "retained_earnings": equity - equity // 2, "other_equity": 0, "equity": equity, "sales": sales,
        "cost_of_sales": cost, "operating_expenses": sales - cost - interest - profit, "interest_expense": interest,
        "other_income": 0, "profit_before_tax": profit, "income_tax": tax, "net_profit": profit - tax,
    }  # fmt: skip


def company_answers(sales: Decimal, dice: random.Random) -> dict[str, str]:
    """What a company of so much sales says on its information form, as typed."""
    return {
        "own_funds": _share(sales, dice.uniform(0.02, 0.06)), "other_sources": _share(sales, dice.choice((0, 0, 0.01))),
        "growth": str(dice.randrange(0, 18)), "settlement_share": str(dice.randrange(40, 90)),
        "other_banks": _share(sales, dice.choice((0, 0, 0.02, 0.04))), "manager_years": str(dice.randrange(4, 26)),
        "outlook": dice.choice(("rising", "steady", "steady", "falling")), "top_five_share": str(dice.randrange(25, 75)),
        "environment": dice.choice("aab"), "record": "clean", "purpose": "采购原材料", "security": "mixed",
    }  # fmt: skip


def _elsewhere(customer: Customer, date: dt.date, now: dt.datetime, dice: random.Random) -> None:
    """For half of the companies a report of the credit bureau: up to three exposures at other banks."""
    if dice.random() < 0.5:
        return
    report = date - dt.timedelta(days=dice.randrange(2, 40))
    rows = []
    is_strained = dice.random() < 0.06
    for number, lender in enumerate(dice.sample(LENDERS, dice.randrange(1, 4)), start=1):
        kind, granted = dice.choice(("loan", "loan", "line", "contingent")), dice.randrange(20, 300) * 10_000
        rows.append(
            ExternalExposure(
                customer=customer, source="credit_bureau", report_date=report, lender=lender, reference=f"D{number:05d}",
                kind=kind, currency="CNY", granted=granted, outstanding=granted * dice.randrange(3, 10) // 10,
                level="substandard" if is_strained and number == 1 else "normal",
                overdue=granted // 10 if is_strained and number == 1 else 0,
                days_past_due=dice.randrange(91, 200) if is_strained and number == 1 else 0, maturity_date=date + dt.timedelta(days=dice.randrange(30, 700)), source_as_of=now,
            )
        )  # fmt: skip
    ExternalExposure.objects.bulk_create(rows)


def _share(sales: Decimal, part: float) -> str:
    """A part of a year's sales in whole ten thousands."""
    return str(int(sales * Decimal(part)) // 10_000 * 10_000)


def _guarantees(
    customer: Customer,
    loans: Decimal,
    region: str,
    position: int,
    date: dt.date,
    now: dt.datetime,
    dice: random.Random,
) -> None:
    signed = date - dt.timedelta(days=300)
    for number in range(dice.randrange(1, 3)):
        asset_type, name, register = dice.choice(THINGS)
        registration = f"{region}{register}{position + 1:04d}{number + 1}号"
        thing = Collateral.objects.create(
            asset_type=asset_type, registration_number=registration, object_key=object_key(registration), name=name,
            owner_name=customer.name, created_at=now,
        )  # fmt: skip
        value = (loans * Decimal(dice.uniform(0.5, 1.3))).quantize(Decimal(10_000)) or Decimal(10_000)
        Valuation.objects.create(
            collateral=thing, value=value, valued_on=date - dt.timedelta(days=dice.randrange(20, 385)),
            valuer=dice.choice(VALUERS), entered_by=customer.responsible, entered_at=now,
        )  # fmt: skip
        Guarantee.objects.create(
            customer=customer, kind="mortgage", collateral=thing, amount=value, from_date=signed,
            status=GuaranteeStatus.ACTIVE, entered_by=customer.responsible, entered_at=now,
            proof_number=_certificate(asset_type, registration, signed.year), proof_on=signed,
        )  # fmt: skip


def _certificate(asset_type: str, registration: str, year: int) -> str:
    """The number that a mortgage of the thing got: of movables in the national register, else on a 他项权证."""
    serial = registration[-6:-1]
    return f"{year:04d}{serial:0>16}" if asset_type == "equipment" else f"他项({year})第{serial}号"


def _promises(
    chosen: Sequence[Customer],
    loans: dict[int, Decimal],
    equity: dict[int, Decimal],
    date: dt.date,
    now: dt.datetime,
) -> None:
    """Every third company is guaranteed by the next one, which some of them overstrain."""
    signed = date - dt.timedelta(days=200)
    for debtor, guarantor in zip(chosen[::3], chosen[1::3], strict=False):
        GuarantorCapacity.objects.create(
            guarantor=guarantor, capacity=(equity[guarantor.pk] * Decimal("0.7")).quantize(Decimal("0.01")),
            assessed_on=date - dt.timedelta(days=60), basis=f"{date.year - 1} 年报", entered_at=now,
        )  # fmt: skip
        Guarantee.objects.create(
            customer=debtor, kind="guarantor", guarantor=guarantor, amount=(loans[debtor.pk] / 2).quantize(Decimal(10_000))
            or Decimal(10_000), from_date=signed, status=GuaranteeStatus.ACTIVE,
            entered_by=debtor.responsible, entered_at=now, proof_on=signed,
            proof_number=f"保字({signed.year})第{debtor.number}号",
        )  # fmt: skip


def _impairments(date: dt.date, now: dt.datetime, seed: int) -> None:
    """What the impairment system told at the last month-end: of loans in arrears, and of a few without."""
    told_on = date.replace(day=1) - dt.timedelta(days=1)
    loans = Loan.objects.filter(status="active", outstanding__gt=0, granted_date__lt=told_on)
    rows = []
    for loan in loans.filter(customer__kind=CustomerKind.CORPORATE).order_by("number"):
        dice = _dice(seed, loan, "-loss")
        days = loan.days_past_due
        stage = "3" if days > 90 else "2" if days > 30 else "1"
        share = {"1": 0.012, "2": 0.08, "3": 0.45}[stage] * dice.uniform(0.6, 1.8)
        loss = (loan.outstanding * Decimal(share)).quantize(Decimal("0.01"))
        rows.append(
            Impairment(
                loan=loan, report_date=told_on, stage=stage, balance=loan.outstanding, expected_loss=loss, source_as_of=now
            )
        )  # fmt: skip
    Impairment.objects.bulk_create(rows, batch_size=1000)
