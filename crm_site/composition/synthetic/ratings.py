"""Ratings of a synthetic bank at any size, with the files they rest on, as the services would have made them.

Each is scored by the bank's own card of its day (credit_rating.engine.cards) from what was known of the customer then
(rating_plan), and says so factor by factor: its content is as_content's, written piece by piece because most pieces
repeat. Rows go in by COPY and INSERT … SELECT, in pieces of PIECE ratings.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import cache
from itertools import groupby
from typing import Any

from django.db import connection

from credit_rating.collection import STATEMENT_YEARS, clean, completeness, fields_of, read_values
from credit_rating.engine.cards import CardBin, CardFactor, Value
from credit_rating.engine.ratios import RATIOS, compute_ratio
from credit_rating.factors import COMPANY
from credit_rating.models import (
    CreditKind,
    CreditPolicy,
    InformationForm,
    Rating,
    Scorecard,
    Statement,
    credit_kind,
)
from credit_rating.models.calculations import canonical
from credit_rating.policies import grades, rating_rules
from credit_rating.selectors.factors import YEAR_DAYS, Found
from credit_rating.selectors.ratings import Assessed, Line, as_content, factor_content, graded, yardstick_on
from credit_rating.services.ratings import rank_of
from credit_rating.services.scorecards import ensure_default_scorecards
from crm_site.composition.credit_book import company_answers, make_statements
from crm_site.composition.synthetic.raters import Raters
from crm_site.composition.synthetic.rating_plan import Planned, plan_ratings, planned
from crm_site.lib.dates import add_months
from crm_site.lib.postgres.statistics import analyze
from crm_site.lib.tenancy import require_bank
from customers.models import Customer

PIECE = 4_000
TABLES = ("credit_rating_statement", "credit_rating_informationform", "credit_rating_rating")
LOWERED = (
    "主要下游客户经营转弱，回款放慢", "实际控制人涉及经济纠纷，审慎下调", "经营场所近期变更，稳定性待观察",
    "家庭近期有大额支出，偿债能力下降",
)  # fmt: skip
RAISED = ("新增长期订单，现金流有保障", "追加有效资产证明，实力优于评分结果", "历史还款记录良好，合作多年")
RETURNED = ("请补充近期水电费单据", "收入证明已过期，请更新", "请核实负债情况后重新测评")
PURPOSES = {CreditKind.PERSONAL: "家庭消费", CreditKind.HOUSEHOLD: "购买农资"}
_RATIOS = {ratio.code: ratio for ratio in RATIOS}
_SOURCES = ("interview", "document", "seen")
Row = tuple[Any, ...]


def make_ratings(*, currency: str, date: dt.date, now: dt.datetime, seed: int) -> int:
    """Rate one in five customers of the active bank, which has no rating yet (then: 0); returns how many ratings.

    `date`: the last day of its book. Inside one transaction.
    """
    bank_id = require_bank()
    if Rating.objects.exists():
        return 0
    ensure_default_scorecards(now)
    raters = Raters(date)
    plan_ratings(bank_id, currency=currency, date=date, seed=seed)
    cards, made = _Cards(), 0
    before = _Piece([])
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as beside:
        cursor.execute(_TEMPORARY)
        for number, rows in enumerate(planned(bank_id, currency=currency, size=PIECE)):
            piece = _Piece(rows)
            # The database writes a piece while the next one is being made.
            writing = beside.submit(before.write, cursor.connection, bank_id)
            piece.make(raters, cards, date, now, seed)
            writing.result()
            if number == 1:
                analyze(TABLES)
            made, before = made + len(piece.ratings), piece
        before.write(cursor.connection, bank_id)
        cursor.execute("DROP TABLE made_rating, made_statement, made_form, made_content")
    analyze(TABLES)
    return made


class _Piece:
    """The ratings of some customers with the files they rest on; what was on record before is read at once."""

    def __init__(self, planned_rows: Sequence[Planned]) -> None:
        self._planned = planned_rows
        self.statements: list[Statement] = []
        self.forms: list[Row] = []
        self.ratings: list[Row] = []
        self._known: dict[int, list[Statement]] = {}
        companies = {row.customer_id for row in planned_rows if row.kind == "corporate"}
        for statement in Statement.objects.filter(customer_id__in=companies):
            self._known.setdefault(statement.customer_id, []).append(statement)
        everybody = [row.customer_id for row in planned_rows] or [0]
        between = {"customer_id__gte": min(everybody), "customer_id__lte": max(everybody)}
        submitted = InformationForm.objects.filter(status="submitted", **between).order_by("id")
        self._asked = dict(submitted.values_list("customer_id", "values"))

    def make(self, raters: Raters, cards: _Cards, date: dt.date, now: dt.datetime, seed: int) -> None:
        """Files and ratings of everybody who has somebody to make them and somebody else to decide."""
        for _customer, turns in groupby(self._planned, key=lambda row: row.customer_id):
            rows = list(turns)
            maker, checker = raters.of(rows[0])
            if maker is None or checker is None:
                continue
            file = _File(rows[0], self._known, self._asked, date, now, seed, maker)
            self.statements += file.new_statements
            self.forms += file.new_form
            self.ratings += [
                _rate(row, file, cards.of(file.kind, row.as_of), maker, checker, date) for row in rows
            ]

    def write(self, database: Any, bank_id: int) -> None:
        """Put the rows in, by the connection of psycopg: this runs in a thread of its own."""
        statements = [
            (s.customer_id, s.year, s.report_date, s.is_audited, canonical(s.figures), s.source, s.entered_at)
            for s in self.statements
        ]
        _load(database, bank_id, "made_statement", statements, _STATEMENTS)
        _load(database, bank_id, "made_form", self.forms, _FORMS)
        _load(database, bank_id, "made_content", self.ratings, _RATINGS)


class _File:
    """What is on record of a customer, and what of it is new: statements and a form of just before the first rating."""

    def __init__(
        self, first: Planned, statements: Mapping[int, list[Statement]], forms: Mapping[int, Mapping[str, Any]],
        date: dt.date, now: dt.datetime, seed: int, maker: int,
    ) -> None:  # fmt: skip
        self.kind = credit_kind(Customer(kind=first.kind, size=first.size))
        self.new_statements: list[Statement] = []
        self.new_form: list[Row] = []
        kept, form = statements.get(first.customer_id, []), forms.get(first.customer_id)
        dice = random.Random(f"{seed}-{first.number}-3")  # noqa: S311 - a made-up bank, not a secret
        if self.kind in COMPANY and not kept:
            owed = Decimal(first.owed) / 100
            kept = self.new_statements = make_statements(
                first.customer_id, owed, date, now, dice, least=dice.randrange(3_000, 40_000)
            )
        self.statements = sorted(kept, key=lambda statement: -statement.year)
        self.figures = {statement.year: statement.amounts for statement in self.statements}
        if form is None:
            form = self._ask(first, dice, maker)
        self.answers = read_values(form)

    def _ask(self, first: Planned, dice: random.Random, maker: int) -> Mapping[str, Any]:
        typed = {code: text for code, text in self._typed(first, dice).items() if text}
        day = first.first_day - dt.timedelta(days=dice.randrange(0, 6))
        asked, source = _fields(self.kind), dice.choice(_SOURCES)
        values = {
            code: {"value": clean(asked[code], text), "as_of": day.isoformat(), "source": source, "by": maker}
            for code, text in typed.items()
        }
        at = dt.datetime.combine(day, dt.time(9, dice.randrange(60)), dt.UTC)
        done = _completeness(self.kind, frozenset(values), min(len(self.statements), STATEMENT_YEARS))
        self.new_form = [(first.customer_id, self.kind.value, canonical(values), done, maker, at)]
        return values

    def _typed(self, first: Planned, dice: random.Random) -> dict[str, str]:
        """What is typed into the form: the credit record as the arrears have it, incomes of usual spread."""
        late = first.worst_arrears or 0
        record = "long" if late >= 30 else "short" if late else dice.choices(("clean", "none"), (8, 2))[0]
        if self.kind in COMPANY:
            sales = self.statements[0].amounts["sales"]
            gaps = ("settlement_share", "environment") if dice.random() < 0.3 else ()
            answers = company_answers(sales, dice) | {"record": record}
            return {code: text for code, text in answers.items() if code not in gaps}
        said = {
            "record": record,
            "other_banks": str(dice.choice((0, 0, 0, 2, 5, 10)) * 10_000),
            "purpose": PURPOSES[self.kind],
        }
        if self.kind == CreditKind.PERSONAL:
            income = max(2_000, min(int(dice.lognormvariate(8.95, 0.45)), 80_000)) // 100 * 100
            said |= {
                "monthly_income": str(income), "monthly_debt_service": str(int(income * dice.betavariate(2, 5)) // 10 * 10),
                "job_years": str(int(dice.expovariate(0.16))), "housing": dice.choice(("own", "own", "mortgaged", "rented", "family")),
            }  # fmt: skip
            return said
        income = max(8_000, min(int(dice.lognormvariate(11.1, 0.55)), 900_000)) // 100 * 100
        assets = max(30_000, int(dice.lognormvariate(12.4, 0.6))) // 1000 * 1000
        return said | {
            "household_income": str(income), "household_costs": str(int(income * dice.uniform(0.2, 0.7)) // 100 * 100),
            "household_members": str(dice.randrange(1, 7)), "household_assets": str(assets),
            "household_debts": str(int(assets * dice.betavariate(1.4, 5)) // 1000 * 1000),
            "land_mu": str(int(dice.expovariate(0.08))), "repute": dice.choices(("good", "fair", "poor"), (7, 3, 1))[0],
        }  # fmt: skip

    def known_on(self, row: Planned) -> Callable[[str], Found | None]:
        """The values of factor sources on the day of a rating (credit_rating.selectors.factors)."""
        day = row.as_of
        core: dict[str, Found | None] = {
            "tenure_years": _years(row.customer_since, day), "age_years": _years(row.birth_date, day),
            "company_years": _years(row.founded_date, day), "deposits_adb": Found(_amount(row.deposits), day),
            "days_past_due": _days(row.days_past_due, day), "worst_arrears": _days(row.worst_arrears, day),
            "debt_service_share": self._quotient("monthly_debt_service", "monthly_income", day),
            "household_debt_share": self._quotient("household_debts", "household_assets", day),
            "household_net_income": self._net_income(day),
        }  # fmt: skip

        def known(source: str) -> Found | None:
            if source in core:
                return core[source]
            return self._ratio(source, day) if source in _RATIOS else self._asked(source, day)

        return known

    def _ratio(self, source: str, day: dt.date) -> Found | None:
        newest = next((s for s in self.statements if s.report_date <= day), None)
        if newest is None:
            return None
        value = compute_ratio(_RATIOS[source], self.figures, newest.year).value
        return None if value is None else Found(value, newest.report_date, str(newest.year))

    def _asked(self, source: str, day: dt.date) -> Found | None:
        cell = self.answers.get(source)
        if cell is None or cell.as_of > day:
            return None
        return Found(
            Decimal(cell.value) if _is_number(self.kind, source) else cell.value, cell.as_of, cell.source
        )

    def _number(self, source: str, day: dt.date) -> Decimal | None:
        cell = self.answers.get(source)
        return cell.number if cell is not None and cell.as_of <= day else None

    def _quotient(self, above: str, below: str, day: dt.date) -> Found | None:
        top, bottom = self._number(above, day), self._number(below, day)
        if top is None or bottom is None or bottom <= 0:
            return None
        return Found((top / bottom).quantize(Decimal("0.0001")), self.answers[above].as_of)

    def _net_income(self, day: dt.date) -> Found | None:
        income, costs = self._number("household_income", day), self._number("household_costs", day)
        if income is None or costs is None:
            return None
        return Found(income - costs, self.answers["household_income"].as_of)


def _years(since: dt.date | None, day: dt.date) -> Found | None:
    if since is None or since > day:
        return None
    return Found(_as_years((day - since).days), day)


@cache
def _as_years(days: int) -> Decimal:
    return (Decimal(days) / YEAR_DAYS).quantize(Decimal("0.1"))


def _days(days: int | None, day: dt.date) -> Found | None:
    return None if days is None else Found(Decimal(days), day)


def _amount(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)


@cache
def _fields(kind: str) -> Mapping[str, Any]:
    return fields_of(kind)


@cache
def _completeness(kind: str, filled: frozenset[str], years: int) -> int:
    return completeness(kind, filled, years)[0]


@cache
def _is_number(kind: str, code: str) -> bool:
    return _fields(kind)[code].type not in ("choice", "text")


class _Judge:
    """A kind's card, scale and rules in force from one change of them to the next, with the texts that repeat."""

    def __init__(self, kind: CreditKind, day: dt.date) -> None:
        by = yardstick_on(kind, day)
        self.scorecard, self.table, self.scale, self.rules = by.scorecard, by.table, by.scale, by.rule_body
        self.factors = [(factor, by.rows[factor.code]) for factor in by.table.factors]
        whole = as_content(
            Assessed(
                Customer(), kind, day, by.scorecard, by.table, by.scale, by.rules, [], Decimal(0), None, "", None,
                by.scale.body.tables["scale"][0]["grade"], Decimal(0), None,
            )
        )  # fmt: skip
        self.parts = {name: canonical(value) for name, value in sorted(whole.items())}
        self._texts: dict[tuple[str, CardBin, bool], list[str]] = {}
        self._bins: dict[tuple[str, Value], CardBin] = {}

    def bin_of(self, factor: CardFactor, value: Value) -> CardBin:
        kept = self._bins.get((factor.code, value))
        if kept is None:
            kept = factor.bin_of(value)
            if not isinstance(value, Decimal) or (value == value.to_integral_value() and value < 400):
                self._bins[factor.code, value] = kept
        return kept

    def text_of(self, factor: CardFactor, row: Mapping[str, Any], b: CardBin, found: Found | None) -> str:
        """The canonical text of factor_content: what differs between customers is put between what does not."""
        key = (factor.code, b, found is None)
        pieces = self._texts.get(key)
        if pieces is None:
            pieces = self._texts[key] = self._pieces(factor, row, b, found is None)
        if found is None:
            return pieces[0]
        before, between, after, end = pieces
        return f"{before}{found.as_of}{between}{found.detail}{after}{found.value}{end}"

    def _pieces(self, factor: CardFactor, row: Mapping[str, Any], b: CardBin, is_missing: bool) -> list[str]:
        content = factor_content(Line(row, factor, b, None if is_missing else Found("", dt.date.min)))
        if is_missing:
            return [canonical(content)]
        marks = {"as_of": "\x01", "detail": "\x02", "value": "\x03"}
        text = canonical(content | marks)
        pieces = []
        for mark in marks.values():
            before, text = text.split(canonical(mark)[1:-1], 1)
            pieces.append(before)
        return [*pieces, text]


class _Cards:
    """The judges of every kind; a new one where a version begins."""

    def __init__(self) -> None:
        begins = [
            *Scorecard.objects.exclude(valid_from=None).values_list("valid_from", flat=True),
            *CreditPolicy.objects.exclude(valid_from=None).values_list("valid_from", flat=True),
        ]
        self._begins = sorted(set(begins))
        self._judges: dict[tuple[str, int], _Judge] = {}

    def of(self, kind: CreditKind, day: dt.date) -> _Judge:
        key = (kind.value, bisect(self._begins, day))
        if key not in self._judges:
            self._judges[key] = _Judge(kind, day)
        return self._judges[key]


def _rate(row: Planned, file: _File, judge: _Judge, maker: int, checker: int, date: dt.date) -> Row:
    """One rating with its content: a row of made_content."""
    known = file.known_on(row)
    score, texts = judge.table.base, []
    for factor, told in judge.factors:
        found = known(told["source"])
        b = judge.bin_of(factor, None if found is None else found.value)
        score += b.points
        texts.append(judge.text_of(factor, told, b, found))
    measures = {m: at.value for m in rating_rules.MEASURES if (at := known(m)) is not None}
    score_pd, score_grade, cap, model_grade = graded(
        judge.table, judge.scale.body, judge.rules, score, measures
    )
    pd = grades.pd_of(judge.scale.body, model_grade)
    parts = judge.parts | {
        "as_of": f'"{row.as_of}"', "customer": canonical({"number": row.number, "name": row.name}),
        "factors": f"[{','.join(texts)}]", "score": f'"{score:f}"', "score_grade": f'"{score_grade}"',
        "score_pd": "null" if score_pd is None else f'"{score_pd:f}"', "grade": f'"{model_grade}"', "pd": f'"{pd:f}"',
        "cap": "null" if cap is None else canonical({"measure": cap.measure, "over": cap.over, "grade": cap.grade}),
    }  # fmt: skip
    content = "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"
    is_draft = row.status == "draft"
    grade, reason = (model_grade, "") if is_draft else _confirmed(row, judge, model_grade, cap is not None)
    is_decided = row.status not in ("draft", "submitted")
    decided = min(row.decided, date)
    ends = None
    if row.status in ("approved", "superseded", "expired"):
        ends = add_months(decided, int(judge.scale.body.params["valid_months"]))
    generated, submitted, spoken = (
        dt.datetime.combine(day, dt.time(hour, row.fate % 60), dt.UTC)
        for day, hour in ((row.as_of, 2), (row.as_of, 3), (decided, 7))
    )
    return (
        row.id, row.customer_id, file.kind.value, f"PJ-{row.customer_id}-{row.place}", row.status, judge.scorecard.pk,
        judge.scale.version.pk, row.as_of, score, score_grade, model_grade, grade, rank_of(grade),
        grades.pd_of(judge.scale.body, grade), row.deposits, content, hashlib.sha256(content.encode()).hexdigest(),
        reason, maker, generated, None if is_draft else maker, None if is_draft else submitted,
        checker if is_decided else None, spoken if is_decided else None,
        RETURNED[row.fate % len(RETURNED)] if row.status == "returned" else "", ends,
    )  # fmt: skip


def _confirmed(row: Planned, judge: _Judge, grade: str, is_capped: bool) -> tuple[str, str]:
    """The grade as its maker confirms it: one in twenty-five is a notch away from the card's, with a reason."""
    turn = (row.fate * 7 + row.place) % 100
    scale = [str(step["grade"]) for step in judge.scale.body.tables["scale"]]
    place = scale.index(grade)
    if turn < 3 and place + 2 < len(scale):
        return scale[place + 1], LOWERED[row.fate % len(LOWERED)]
    may_rise = (
        place > 0
        and not is_capped
        and grades.notches(grade, scale[place - 1]) <= judge.scale.body.params["notches_up"]
    )
    if turn == 3 and may_rise:
        return scale[place - 1], RAISED[row.fate % len(RAISED)]
    return grade, ""


# -- into the database ----------------------------------------------------------------------------------------------

_TEMPORARY = """
CREATE TEMP TABLE made_statement (customer bigint, year int, day date, is_audited bool, figures text, source text,
    at timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE made_form (customer bigint, kind text, given text, done int, maker bigint, at timestamptz)
    ON COMMIT DROP;
CREATE TEMP TABLE made_content (id bigint, customer bigint, kind text, number text, status text, card bigint,
    scale bigint, as_of date, score numeric, score_grade text, model_grade text, grade text, rank int, pd numeric,
    deposits bigint, content text, hash text, reason text, maker bigint, made timestamptz, submitter bigint,
    submitted timestamptz, decider bigint, decided timestamptz, note text, ends date) ON COMMIT DROP
"""
_STATEMENTS = """
INSERT INTO credit_rating_statement (bank_id, customer_id, year, report_date, is_audited, auditor, figures, explanation,
    source, entered_at)
SELECT %(bank)s, customer, year, day, is_audited, '', figures::jsonb, '', source, at FROM made_statement
"""
_FORMS = """
INSERT INTO credit_rating_informationform (bank_id, customer_id, kind, status, values, revision, completeness_pct,
    started_by_id, started_at, saved_at, submitted_by_id, submitted_at)
SELECT %(bank)s, customer, kind, 'submitted', given::jsonb, 1, done, maker, at, at, maker, at FROM made_form
"""
_RATINGS = """
INSERT INTO credit_rating_rating (bank_id, id, customer_id, kind, number, status, scorecard_id, grade_policy_id, as_of,
    score, score_grade, model_grade, grade, grade_rank, pd, deposits, content, content_hash, reason, generated_by_id,
    generated_at, submitted_by_id, submitted_at, decided_by_id, decided_at, decision_note, expires_on, review_reason)
SELECT %(bank)s, id, customer, kind, number, status, card, scale, as_of, score, score_grade, model_grade, grade, rank, pd,
    deposits, content::jsonb, hash, reason, maker, made, submitter, submitted, decider, decided, note, ends, ''
FROM made_content
"""


def _load(database: Any, bank_id: int, table: str, rows: Sequence[Row], insert: str) -> None:
    """Copy rows into a temporary table, insert from there, and empty it."""
    if not rows:
        return
    with database.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(insert, {"bank": bank_id})
        cursor.execute(f"TRUNCATE {table}")
