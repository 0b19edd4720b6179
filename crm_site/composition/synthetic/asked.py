"""What the customers of a synthetic bank ask for: lines, renewals, higher limits, each with what the case rests on."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from credit_rating.engine.pricing import BASIS
from credit_rating.models import CaseKind, CreditCase, CreditKind, CreditLine, Rating, credit_kind
from credit_rating.models.lines import LineStatus
from credit_rating.selectors.calculations import Reckoning
from credit_rating.selectors.cases.dossier import CENT
from credit_rating.selectors.factors import Held
from credit_rating.selectors.many import held_of
from crm_site.composition.synthetic.calculations import Calculator, save, weigh_loans
from crm_site.composition.synthetic.lines import PRODUCTS
from crm_site.composition.synthetic.raters import busiest_manager
from crm_site.lib.tenancy import require_bank
from customers.models import Customer, Product

OPEN_SHARE = 0.48  # of cases, those that are still open
ENDED_AGES = (24, 150)  # days since they were begun
# Cases of the manager with the most customers: what he, and who leads his branch, find on their desks.
AT_HOME = ("branch", "returned", "branch", "draft")
LEAST_LINE = Decimal(10_000)
ABOVE = 0.1  # of those who would ask for more than was calculated, the share that does
AMOUNTS = {
    "large": (20, 300, 100_000), "corporate": (5, 60, 50_000), "household": (3, 30, 10_000), "personal": (5, 30, 10_000),
}  # fmt: skip
PURPOSES = {
    "corporate": ("流动资金周转", "采购原材料", "支付货款", "订单备货", "设备更新"),
    "household": ("购买农资", "扩大养殖", "大棚改造", "收购农产品"),
    "personal": ("家庭消费", "住房装修", "个体经营周转"),
}
FOUND = {
    "corporate": (
        "实地走访经营场所，设备运转正常，在手订单可覆盖未来两个季度；主要下游客户回款周期稳定。",
        "企业经营年限较长，结算主要在我行办理；行业景气度平稳，未发现对外担保风险。",
    ),
    "household": (
        "走访村委会与邻里，口碑良好；种养殖规模与上年持平，销售渠道稳定。",
        "实地查看大棚与圈舍，存栏与申报一致；家庭劳动力充足，还款来源明确。",
    ),
    "personal": (
        "核对近半年流水与申报收入一致，家庭负担适中，还款来源明确。",
        "工作单位与职务经核实，收入稳定；征信无不良记录。",
    ),
}


@dataclass
class Begun:
    """A case begun `age` days ago, not saved yet. `shown`: how far it is meant to come; "" for as far as others.
    `beside`: the limit of the line that the customer keeps beside it."""

    case: CreditCase
    dice: random.Random
    age: int
    shown: str = ""
    beside: Decimal = Decimal(0)


# Customers with a rating in force and a manager of their own, none on the exclusion list: a few of the busiest manager, then companies, households,
# persons, by their dice.
_CANDIDATES = """
SELECT id FROM (
    SELECT id, dice, responsible_id = %(busiest)s
        AND row_number() OVER (PARTITION BY responsible_id ORDER BY dice, id) <= %(at_home)s AS at_home
    FROM (
        SELECT c.id, c.responsible_id, abs(hashtextextended(c.number, %(seed)s + 20) %% 10000)
            + CASE c.kind WHEN 'corporate' THEN 0 WHEN 'household' THEN 5000 ELSE 9000 END AS dice
        FROM credit_rating_rating r
        JOIN customers_customer c ON c.bank_id = r.bank_id AND c.id = r.customer_id
        WHERE r.bank_id = %(bank)s AND r.status = 'approved' AND c.responsible_id = r.generated_by_id AND NOT c.is_excluded
    ) thrown
) placed ORDER BY at_home DESC, dice, id LIMIT %(wanted)s
"""


def begin(wanted: int, products: Mapping[str, Product], date: dt.date, seed: int) -> list[Begun]:
    """At most so many cases, oldest first, each with its saved line calculation."""
    busiest = busiest_manager()
    manager = busiest.staff_id if busiest else 0
    customers = _candidates(wanted, manager, seed)
    ids = [customer.pk for customer in customers]
    rated = Rating.objects.filter(customer_id__in=ids, status="approved").defer("content")
    ratings = {rating.customer_id: rating for rating in rated}
    lines = CreditLine.objects.filter(customer_id__in=ids, status=LineStatus.ACTIVE, expires_on__gt=date)
    standing = {line.customer_id: line for line in lines.select_related("product")}
    held, at_home, begun = held_of(customers, date), iter(AT_HOME), []
    for customer in customers:
        rating, line = ratings[customer.pk], standing.get(customer.pk)
        dice = random.Random(f"{seed}-{customer.number}-4")  # noqa: S311 - a made-up bank, not a secret
        shown = next(at_home, "") if customer.responsible_id == manager else ""
        asked = (
            _about(line, dice) if line is not None and dice.random() < 0.7 else _new(customer, products, dice)
        )
        age = _age(dice, _known_for(rating, held[customer.pk], date), bool(shown))
        at = at_hour(date - dt.timedelta(days=age), 1, dice)
        case = CreditCase(
            customer=customer, prepared_by=customer.responsible, prepared_at=at, year=at.year,
            purpose=dice.choice(PURPOSES[customer.kind]), investigation=dice.choice(FOUND[customer.kind]), **asked,
        )  # fmt: skip
        beside = Decimal(line.limit) if line is not None and case.line is None else Decimal(0)
        begun.append(Begun(case, dice, age, shown, beside))
    weigh_loans(customers, date)
    kept = _calculated(begun, {key: rating.grade for key, rating in ratings.items()}, held)
    return sorted(kept, key=lambda one: (-one.age, one.case.customer_id))


def _candidates(wanted: int, manager: int, seed: int) -> list[Customer]:
    values = {
        "bank": require_bank(), "seed": seed, "wanted": wanted, "busiest": manager, "at_home": len(AT_HOME),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_CANDIDATES, values)
        keys = [row[0] for row in cursor.fetchall()]
    found = Customer.objects.select_related("home_branch", "responsible").in_bulk(keys)
    return [found[key] for key in keys]


def _known_for(rating: Rating, held: Held, date: dt.date) -> int:
    """For how many days all that a case rests on has been on record."""
    days = [cell.as_of for cell in held.collected.values()]
    if rating.decided_at is not None:
        days.append(rating.decided_at.date())
    return max((date - max(days, default=date)).days, 0)


def _age(dice: random.Random, known: int, is_open: bool) -> int:
    """For how many days a case has been there: not for longer than what it rests on."""
    if is_open or dice.random() < OPEN_SHARE or known < ENDED_AGES[0]:
        most = min(ENDED_AGES[0] - 10, known)
        return int(dice.triangular(0, most, min(2, most)))
    return dice.randrange(ENDED_AGES[0], min(ENDED_AGES[1], known + 1))


def _calculated(begun: Sequence[Begun], grades: Mapping[int, str], held: Mapping[int, Held]) -> list[Begun]:
    """Let each case rest on its saved line calculation, ask for what that allows and at its price; without those that
    ask for a new line where none is to be had."""
    calculator = Calculator(grades, held)
    found = calculator.lines_of([one.case for one in begun])
    lowered = [one.case for one in begun if one.case.customer_id in found and _lower(one, found)]
    found |= calculator.lines_of(lowered)
    kept = [one for one in begun if one.case.line is not None or _limit(one, found) >= LEAST_LINE]
    saved = save(found, [one.case for one in kept])
    for one in kept:
        key = one.case.customer_id
        if key in saved:
            price = found[key].price
            one.case.calculation_id, one.case.rate_bp = saved[key], int(price.rate * BASIS) if price else None
    return kept


def _lower(one: Begun, found: Mapping[int, Reckoning]) -> bool:
    """Bring what is asked for down to what was calculated, not below what is drawn; False: it stays what it was."""
    case, line, limit = one.case, one.case.line, _limit(one, found)
    if Decimal(case.amount) <= limit or one.dice.random() < ABOVE:
        return False
    share = Decimal(one.dice.randrange(60, 101)) / 100 if line is None else Decimal(1)
    amount = (limit * share // LEAST_LINE * LEAST_LINE).quantize(CENT)
    if amount < max(LEAST_LINE, line.used if line else Decimal(0)):
        if line is None or case.kind != CaseKind.INCREASE:
            return False
        # A line beyond what was calculated is renewed at most.
        case.kind, amount = CaseKind.RENEWAL, Decimal(line.limit).quantize(CENT)
    if line is not None and case.kind != CaseKind.RENEWAL and amount <= line.limit:
        case.kind = CaseKind.DECREASE if amount < line.limit else CaseKind.RENEWAL
    case.amount = amount
    return True


def _limit(one: Begun, found: Mapping[int, Reckoning]) -> Decimal:
    """What was calculated, less the line beside it; 0 without a calculation."""
    reckoned = found.get(one.case.customer_id)
    return Decimal(0) if reckoned is None or reckoned.limit is None else reckoned.limit - one.beside


def _about(line: CreditLine, dice: random.Random) -> dict[str, Any]:
    """A case about a line: its renewal, a higher limit, its review."""
    kind = dice.choice((CaseKind.RENEWAL, CaseKind.RENEWAL, CaseKind.INCREASE, CaseKind.REVIEW))
    limit = Decimal(line.limit)
    if kind == CaseKind.INCREASE:
        limit = (limit * dice.choice((12, 15, 20)) / 10).quantize(Decimal(1000)) + 1000
    limit = limit.quantize(CENT)  # as the database gives it back: the dossier says it in these very digits
    return {
        "kind": kind, "product": line.product, "line": line, "currency": line.currency, "amount": limit, "term_months": 12,
    }  # fmt: skip


def _new(customer: Customer, products: Mapping[str, Product], dice: random.Random) -> dict[str, Any]:
    """A new line: amounts by kind and size."""
    size = customer.kind if credit_kind(customer) != CreditKind.CORPORATE else "large"
    least, most, step = AMOUNTS[size]
    return {
        "kind": CaseKind.NEW, "product": products[PRODUCTS[customer.kind]], "line": None, "currency": "CNY",
        "amount": Decimal(dice.randrange(least, most) * step).quantize(CENT),
        "term_months": 36 if customer.kind == "household" else 12,
    }  # fmt: skip


def at_hour(day: dt.date, hour: int, dice: random.Random) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, dice.randrange(60)), dt.UTC)
