"""A campaign's job: households rated and given proposed lines, against one NumPy pass over the same matrix.

The pass reads nothing and writes nothing: it only does the arithmetic, as vectors, by the same card and policies. It is
an oracle as well: score and limit of every household must be what the job has written.

By itself, on the database of the environment:
python manage.py shell -c 'from tests.bench.campaign import *; a = prepare(20000); print(measure(a, a_campaign(a), 20000, 2))'
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
from django.utils import timezone

from credit_rating.collection import completeness
from credit_rating.engine.cards import Card
from credit_rating.models import (
    Campaign,
    CampaignMember,
    CollectionStatus,
    InformationForm,
    LineCalculation,
    Rating,
)
from credit_rating.policies.grades import GRADES
from credit_rating.selectors.calculations import policies_on
from credit_rating.selectors.ratings import yardstick_on
from credit_rating.services.campaigns import opening, rating
from credit_rating.services.campaigns.opening import Plan
from crm_site.accounts.models import Bank, GrantStatus, OrgUnit, RoleGrant, Staff
from crm_site.accounts.selectors import actor_for
from crm_site.accounts.services import found_bank
from crm_site.jobs.models import RunStatus
from crm_site.jobs.services import run_to_end
from crm_site.lib.permissions import Actor, Role
from crm_site.lib.postgres.statistics import analyze
from crm_site.lib.tenancy import bank
from customers.models import Customer, Product, Standing
from tests.bench import campaign_lines
from tests.bench.rows import Row, work_row
from tests.rig import Rig, Spent, Work

NAMES = ("campaign_bulk", campaign_lines.NAME)
HOUSEHOLDS = 20_000
CODE = "season"
DAY = dt.date(2026, 11, 20)
FIELDS = (
    "household_income", "household_costs", "household_wages", "household_members", "household_assets",
    "household_debts", "other_banks", "land_mu",
)  # fmt: skip
LIVING, ROUND = 15_000, 10_000  # of the default method: a member's living costs, rounding


def prepare(count: int) -> Actor:
    """A bank with so many households, each with what it has told; one in seven left things open."""
    founded = found_bank(code=CODE, name="Season", now=timezone.now(), password="x" * 12)
    with bank(founded.bank.pk):
        head = OrgUnit.objects.get(code="HO")
        rural = Staff.objects.create(number="rural", name="Rural", unit=head, line_department="rural")
        RoleGrant.objects.create(
            staff=rural, role=Role.LINE_DEPARTMENT, unit=head, from_date=dt.date(2020, 1, 1), founding=True,
            status=GrantStatus.EFFECTIVE, proposed_at=timezone.now(), decided_at=timezone.now(),
        )  # fmt: skip
        dice = random.Random(42)
        people = Customer.objects.bulk_create(
            [
                Customer(
                    number=f"H{i:06d}", name=f"Household {i}", kind="household", home_branch=head,
                    customer_since=DAY - dt.timedelta(days=dice.randrange(30, 4000)),
                )
                for i in range(count)
            ],
            batch_size=5_000,
        )  # fmt: skip
        Standing.objects.bulk_create(
            [
                Standing(
                    customer=c, kind="household", home_branch=head, as_of=DAY,
                    deposits_adb=Decimal(dice.randrange(0, 20_000_000)) / 100,
                )
                for c in people
            ],
            batch_size=5_000,
        )  # fmt: skip
        InformationForm.objects.bulk_create([_form(c, dice) for c in people], batch_size=2_000)
        Bank.objects.filter(pk=founded.bank.pk).update(business_date=DAY)
        analyze(["customers_customer", "customers_standing", "credit_rating_informationform"])
        return actor_for(rural, day=DAY)


def _form(customer: Customer, dice: random.Random) -> InformationForm:
    income = dice.randrange(20_000, 200_000)
    said = {
        "household_income": f"{income}.{dice.randrange(100):02d}", "household_costs": str(income * dice.randrange(20, 80) // 100),
        "household_members": str(dice.randrange(1, 7)), "household_assets": str(dice.randrange(50_000, 900_000)),
        "household_debts": str(dice.randrange(0, 200_000)), "other_banks": str(dice.randrange(0, 5) * 10_000),
        "household_wages": str(dice.randrange(0, 60_000)), "trade": "rice", "purpose": "seed", "security": "credit",
        "record": dice.choice(("clean", "none", "short", "long")),
    }  # fmt: skip
    if dice.random() < 6 / 7:
        said |= {"land_mu": str(dice.randrange(0, 50)), "repute": dice.choice(("good", "fair", "poor"))}
    cells = {
        k: {"value": v, "as_of": "2026-11-01", "source": "interview", "by": None} for k, v in said.items()
    }
    at = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    return InformationForm(
        customer=customer, kind="household", status=CollectionStatus.SUBMITTED, values=cells, revision=1,
        completeness_pct=completeness("household", said)[0], started_at=at, saved_at=at, submitted_at=at,
    )  # fmt: skip


def a_campaign(actor: Actor) -> Campaign:
    """A running campaign that lists every household."""
    with bank(actor.bank_id):
        product = Product.objects.create(code="L301", name="Household loan", family="loan")
        days = [DAY + dt.timedelta(days=n) for n in (10, 20, 30, 40)]
        plan = Plan("Season", "household", product, Decimal(300_000), 12, "Farming", *days)
        made = opening.create_campaign(actor, plan=plan, now=timezone.now())
        everybody = {"fact": "kind", "op": "=", "value": "household"}
        opening.list_members(actor, campaign_id=made.pk, condition=everybody, numbers=[], day=DAY)
        return opening.open_campaign(actor, campaign_id=made.pk, now=timezone.now())


# -- the limit ------------------------------------------------------------------------------------------------------


def matrix(campaign: Campaign) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """(customers, columns): numbers in cents, whole numbers or 10,000ths as int64, -1 for unknown; words as text."""
    forms = dict(InformationForm.objects.values_list("customer_id", "values"))
    standing = dict(Standing.objects.values_list("customer_id", "deposits_adb"))
    since = dict(Customer.objects.values_list("pk", "customer_since"))
    keys = np.array(sorted(forms))
    columns: dict[str, Any] = {}
    for name in FIELDS:
        scale = 1 if name in ("household_members", "land_mu") else 100
        told = [forms[k].get(name) for k in keys]
        columns[name] = np.array(
            [-1 if c is None else int(Decimal(c["value"]) * scale) for c in told], np.int64
        )
    for name in ("record", "repute"):
        columns[name] = np.array([(forms[k].get(name) or {}).get("value", "") for k in keys])
    columns["deposits_adb"] = np.array([int(standing[k] * 100) for k in keys], np.int64)
    columns["days"] = np.array([(DAY - since[k]).days for k in keys], np.int64)
    return keys, columns


def one_pass(
    c: dict[str, np.ndarray[Any, Any]],
    card: Card,
    scale: list[tuple[int, str]],
    rows: dict[str, tuple[int, int, int]],
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(score, place of the grade, limit in cents, -1 for a grade without a line) of every household."""
    top, bottom = c["household_debts"] * 10_000, c["household_assets"]
    share, rest = np.divmod(top, bottom)
    share += (2 * rest > bottom) | ((2 * rest == bottom) & (share % 2 == 1))
    net = c["household_income"] - c["household_costs"]
    values = {
        "household_debt_share": (share, 10_000), "household_net_income": (net + c["household_wages"], 100),
        "deposits_adb": (c["deposits_adb"], 100), "tenure_years": ((c["days"] * 2000 + 36525) // 73050, 10),
        "worst_arrears": (np.full(len(net), -1), 1), "land_mu": (c["land_mu"], 1),
        "household_members": (c["household_members"], 1),
    }  # fmt: skip
    score = np.full(len(net), int(card.base), np.int64)
    for factor in card.factors:
        missing = int(next(b.points for b in factor.bins if b.kind == "missing"))
        if factor.is_number:
            column, unit = values[factor.code]
            ranges = [b for b in factor.bins if b.kind == "range"]
            edges = np.array(
                [int((b.lower or Decimal(0)) * unit) if b.lower is not None else -(2**62) for b in ranges]
            )
            order = np.argsort(edges)
            points = np.array([int(b.points) for b in ranges])[order]
            got = points[np.searchsorted(edges[order], column, side="right") - 1]
            known = column >= 0 if factor.code != "household_net_income" else np.ones(len(net), bool)
            score += np.where(known, got, missing)
        else:
            column, got = c[factor.code], np.full(len(net), missing)
            for b in factor.bins:
                if b.kind == "values":
                    got = np.where(np.isin(column, b.values), int(b.points), got)
            score += got
    place = np.full(len(net), len(scale) - 1)
    for i, (least, _grade) in reversed(list(enumerate(scale))):
        place = np.where(score >= least, i, place)
    limit = np.full(len(net), -1, np.int64)
    left = np.maximum(net + c["household_wages"] - c["household_members"] * LIVING * 100, 0)
    own = np.maximum(c["household_assets"] - c["household_debts"], 0)
    for i, (_least, grade) in enumerate(scale):
        if grade in rows:
            times, part, cap = rows[grade]  # hundredths, hundredths, cents
            income, assets = (left * times + 50) // 100, (own * part + 50) // 100
            running = np.minimum(np.minimum(income, assets), cap)
            found = (
                np.maximum(np.minimum(running - c["other_banks"], cap), 0) // (ROUND * 100) * (ROUND * 100)
            )
            limit = np.where(place == i, found, limit)
    return score, place, limit


def the_pass(campaign: Campaign) -> tuple[float, int]:
    """(seconds of the pass, households of whom the job has written something else)."""
    keys, columns = matrix(campaign)
    yardstick, policies = yardstick_on("household", DAY), policies_on("household", DAY)
    scale = [(int(r["score_from"]), r["grade"]) for r in yardstick.scale.body.tables["scale"]]
    rows = {
        r["grade"]: (int(r["income_multiple"] * 100), int(r["asset_share_pct"] * 100), int(r["cap"] * 100))
        for r in policies["methods"].body.tables["household"]
    }
    times = []
    for _ in range(5):
        began = time.perf_counter()
        score, place, limit = one_pass(columns, yardstick.table, scale, rows)
        times.append(time.perf_counter() - began)
    ours = dict(Rating.objects.values_list("customer_id", "score"))
    grades = dict(Rating.objects.values_list("customer_id", "grade"))
    lines = dict(LineCalculation.objects.values_list("customer_id", "limit"))
    differ = 0
    for i, key in enumerate(keys):
        amount = int(lines[key] * 100) if key in lines else -1
        same = (int(ours[key]), GRADES.index(grades[key]), amount) == (
            int(score[i]), GRADES.index(scale[place[i]][1]), int(limit[i]),
        )  # fmt: skip
        differ += not same
    return min(times), differ


def measure(actor: Actor, campaign: Campaign, count: int, workers: int) -> Row:
    """The row; the same job again must write nothing."""
    spent, peak = [], 0.0
    for _again in range(2):
        with bank(actor.bank_id):
            run = rating.start_rating(
                actor, campaign_id=campaign.pk, zone_id=None, day=DAY, now=timezone.now()
            )
        with Work() as work:
            run = run_to_end(run, workers=workers)
        spent.append(work.spent)
        peak = max(peak, work.mib)
        if run.status != RunStatus.DONE:
            raise SystemExit(f"campaign_bulk: the run has {run.status}: {run.error}")
    with bank(actor.bank_id):
        limit, differ = the_pass(campaign)
        given = CampaignMember.objects.filter(campaign=campaign, stage="calculated").count()
        drafts = Rating.objects.count()
    if differ or drafts != count or run.rows_changed:
        raise SystemExit(
            f"campaign_bulk: {differ} differ, {drafts} ratings, {run.rows_changed} changed again"
        )
    note = (
        f"{given:,} given a line, {workers} workers, {count / spent[0].seconds:.0f} a second, {spent[0].cpu:.0f} s of processors; the same job "
        f"again {spent[1].seconds:.1f} s; every score, grade and limit equals the pass's"
    )
    return work_row("campaign_bulk", count, spent[0], Spent(limit, limit), peak_mib=peak, note=note)


def run(rig: Rig, count: int = HOUSEHOLDS) -> Iterator[Row]:
    """Both rows, of one campaign: it is rated, then what needs no second look is signed and carried out."""
    actor = prepare(count)
    campaign = a_campaign(actor)
    yield measure(actor, campaign, count, 2)
    yield campaign_lines.measure(rig, actor, campaign, DAY)
