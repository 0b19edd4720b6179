"""The condition language against an independent evaluator, its words, and what it refuses."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from customers.conditions import (
    ConditionError,
    Matches,
    both,
    from_query,
    rows_of,
    sentence,
    to_query,
    validate,
)
from customers.models import ContactPoint, Fee, Standing
from tests.conftest import House, Person
from tests.customers.night_factories import customer, next_number
from tests.properties import rule

AS_OF = dt.date(2026, 11, 30)
TIERS = {"high": 3, "mid": 2, "general": 1, "none": 0}


def select(condition: Any, actor: Any = None) -> set[int]:
    matching = Standing.objects.filter(Matches(condition, as_of=AS_OF, actor=actor))
    return set(matching.values_list("customer_id", flat=True))


# -- an independent evaluator -------------------------------------------------------------------------------------


def anniversary(born: dt.date, year: int) -> dt.date:
    try:
        return born.replace(year=year)
    except ValueError:
        return dt.date(year, 2, 28)


def facts_of(row: Standing) -> dict[str, Any]:
    c = row.customer
    born = c.birth_date
    age = birthday = None
    if born:
        this = anniversary(born, AS_OF.year)
        age = AS_OF.year - born.year - ((AS_OF.month, AS_OF.day) < (born.month, born.day))
        birthday = ((this if this >= AS_OF else anniversary(born, AS_OF.year + 1)) - AS_OF).days
    return {
        "deposits_adb": row.deposits_adb,
        "churn": Decimal(row.churn_bp) / 100 if row.churn_bp >= 0 else None,
        "adb_change": row.deposits_adb - row.adb_previous,
        "value_tier": row.value_tier,
        "kind": c.kind,
        "age": age,
        "birthday_in": birthday,
        "customer_since": c.customer_since,
        "industry": c.industry or None,
        "last_contact": (AS_OF - row.last_contact_date).days if row.last_contact_date else None,
        "is_prospect": c.is_prospect,
        "without_manager": row.responsible_id is None and not c.is_prospect,
        "responsible": row.responsible_id,
        "home_branch": row.home_branch_id,
        "pays_fees": c.pk in PAYERS,
    }


PAYERS: set[int] = set()


def holds(condition: Any, facts: dict[str, Any]) -> bool:
    if "all" in condition:
        return all(holds(part, facts) for part in condition["all"])
    if "any" in condition:
        return any(holds(part, facts) for part in condition["any"])
    if "not" in condition:
        return not holds(condition["not"], facts)
    have, op = facts[condition["fact"]], condition["op"]
    if op == "is_null":
        return have is None
    if op == "not_null":
        return have is not None
    if have is None:
        return False

    def read(raw: Any) -> Any:
        if condition["fact"] == "value_tier":
            return TIERS[raw]
        if isinstance(have, Decimal):
            return Decimal(str(raw))
        return dt.date.fromisoformat(raw) if isinstance(have, dt.date) else raw

    value = condition["value"]
    if op in ("in", "between"):
        values = [read(v) for v in value]
        return have in values if op == "in" else values[0] <= have <= values[1]
    value = read(value)
    return {
        "=": lambda: have == value, "!=": lambda: have != value, "<": lambda: have < value,
        "<=": lambda: have <= value, ">": lambda: have > value, ">=": lambda: have >= value,
        "starts_with": lambda: have.startswith(value),
    }[op]()  # fmt: skip


def numbers(low: int, high: int) -> st.SearchStrategy[Any]:
    return st.integers(low, high)


AMOUNTS = st.sampled_from(["0", "0.01", "99999.99", "100000", "100000.01", "1000000.00", "-5"]) | st.decimals(
    -1000, 2_000_000, places=2
).map(str)
RANGES = ("=", "!=", "<", "<=", ">", ">=")


def leaf(fact: str, values: st.SearchStrategy[Any], ops: tuple[str, ...], known: bool = False) -> Any:
    forms = [st.fixed_dictionaries({"fact": st.just(fact), "op": st.sampled_from(ops), "value": values})]
    if "<" in ops:
        pair = st.tuples(values, values).map(list)
        forms.append(st.fixed_dictionaries({"fact": st.just(fact), "op": st.just("between"), "value": pair}))
    if fact not in ("is_prospect", "without_manager", "pays_fees"):
        several = st.lists(values, min_size=1, max_size=3)
        forms.append(st.fixed_dictionaries({"fact": st.just(fact), "op": st.just("in"), "value": several}))
    if known:
        forms.append(
            st.fixed_dictionaries({"fact": st.just(fact), "op": st.sampled_from(("is_null", "not_null"))})
        )
    return st.one_of(forms)


DATES = st.dates(dt.date(1950, 1, 1), dt.date(2026, 12, 31)).map(dt.date.isoformat)
LEAVES = st.one_of(
    leaf("deposits_adb", AMOUNTS, RANGES),
    leaf("adb_change", AMOUNTS, RANGES),
    leaf("churn", st.sampled_from(["0", "12.5", "30", "99.99"]), RANGES, known=True),
    leaf("value_tier", st.sampled_from(list(TIERS)), RANGES),
    leaf("kind", st.sampled_from(["personal", "corporate", "household"]), ("=", "!=")),
    leaf("age", numbers(0, 90), RANGES, known=True),
    leaf("birthday_in", numbers(0, 366), RANGES, known=True),
    leaf("customer_since", DATES, RANGES, known=True),
    leaf("industry", st.sampled_from(["C", "C13", "A01", "J66"]), ("=", "!=", "starts_with"), known=True),
    leaf("last_contact", numbers(0, 400), RANGES, known=True),
    leaf("is_prospect", st.booleans(), ("=", "!=")),
    leaf("without_manager", st.booleans(), ("=", "!=")),
    leaf("pays_fees", st.booleans(), ("=", "!=")),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda p: {"all": p}),
        st.lists(parts, max_size=3).map(lambda p: {"any": p}),
        parts.map(lambda p: {"not": p}),
    ),
    max_leaves=6,
)


@pytest.fixture
def book(inside: House, rm: Person) -> House:
    """Forty customers at random, most facts of each unknown now and then."""
    rng = random.Random(7)

    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.7 else None

    PAYERS.clear()
    for i in range(40):
        kind = rng.choice(["personal", "corporate", "household"])
        prospect = rng.random() < 0.2
        made = customer(
            kind,
            is_prospect=prospect,
            birth_date=maybe(dt.date(1950, 1, 1) + dt.timedelta(days=rng.randrange(25_000))),
            customer_since=maybe(dt.date(2010, 1, 1) + dt.timedelta(days=rng.randrange(5000))),
            industry=maybe(rng.choice(["C13", "C", "A01", "J66"])) or "",
            responsible=maybe(rm.staff),
            home_branch=maybe(rng.choice([inside.north, inside.north_sub, inside.south])),
            standing={
                "deposits_adb": Decimal(
                    rng.choice(["0", "0.01", "99999.99", "100000", "1000000", "1234567.89"])
                ),
                "adb_previous": Decimal(rng.choice(["0", "100000", "2000000"])),
                "churn_bp": rng.choice([-1, 0, 1250, 3000, 9999]),
                "value_tier": 0 if prospect else rng.randint(1, 3),
                "last_contact_date": maybe(AS_OF - dt.timedelta(days=rng.randrange(400))),
            },
        )
        if i % 3 == 0:
            days = rng.choice([0, 364, 366, 400])
            fee = Fee(customer=made, date=AS_OF - dt.timedelta(days=days), amount=1, currency="CNY")
            fee.reference = next_number("F")
            fee.save()
            if days <= 364:
                PAYERS.add(made.pk)
    customer("personal", birth_date=dt.date(2000, 2, 29))
    customer("personal", birth_date=dt.date(2000, 11, 30))
    return inside


@rule("conditions", few=150, many=4_000)
@given(condition=CONDITIONS)
def test_it_selects_what_an_independent_evaluator_selects(book: House, condition: Any) -> None:
    rows = Standing.objects.select_related("customer")
    expected = {row.customer_id for row in rows if holds(condition, facts_of(row))}
    assert select(condition) == expected
    canonical = validate(condition)
    assert validate(canonical) == canonical
    assert select(from_query(to_query(canonical))) == expected
    assert sentence(condition, "en")


def test_a_condition_and_its_negation_share_nobody_and_miss_nobody(book: House) -> None:
    everybody = select({})
    for fact in ("churn", "age", "industry", "last_contact"):
        known = {"fact": fact, "op": "not_null"}
        assert select(known) | select({"not": known}) == everybody
        assert not select(known) & select({"fact": fact, "op": "is_null"})


def test_me_is_who_asks(book: House, rm: Person, rm_other_branch: Person) -> None:
    mine = {"fact": "responsible", "op": "=", "value": "me"}
    assert select(mine, rm.actor) == select({"fact": "responsible", "op": "=", "value": rm.staff.pk})
    assert select(mine, rm_other_branch.actor) == set()
    with pytest.raises(ConditionError):
        select(mine)


def test_within_a_unit_takes_what_lies_below_it(book: House) -> None:
    north, sub = book.north.pk, book.north_sub.pk
    within = select({"fact": "home_branch", "op": "within", "value": north})
    exactly = {u: select({"fact": "home_branch", "op": "=", "value": u}) for u in (north, sub)}
    assert exactly[north]
    assert exactly[sub]
    assert within == exactly[north] | exactly[sub]


def test_what_is_missing(inside: House) -> None:
    bare = customer("personal")
    full = customer(
        "personal", birth_date=dt.date(1990, 1, 1), occupation="Farmer", family_note="two children",
        experience_note="a herd since 2009", preference_note="calls", needs_note="a loan for seed",
    )  # fmt: skip
    company = customer("corporate", founded_date=dt.date(2001, 1, 1), employees=5)
    ContactPoint.objects.create(customer=full, kind="phone", value=b"x", blind_index=b"y" * 16, masked="1**")
    assert select({"fact": "missing_items", "op": "=", "value": 0}) == {full.pk}
    assert select({"fact": "missing_items", "op": "=", "value": 7}) == {bare.pk}
    assert select({"fact": "missing", "op": "=", "value": "industry"}) == {company.pk}
    assert select({"fact": "missing", "op": "=", "value": "experience"}) == {bare.pk, company.pk}
    assert select({"fact": "missing", "op": "in", "value": ["industry", "occupation"]}) == {
        company.pk,
        bare.pk,
    }
    assert select({"fact": "missing", "op": "!=", "value": "phone"}) == {full.pk}


HOSTILE = [
    "'; DROP TABLE customers_customer; --", "C' OR '1'='1", "%s", "%(x)s", "{s}", "\\", 'a"b', "C13\n--",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text(book: House, text: str) -> None:
    assert select({"fact": "industry", "op": "=", "value": text}) == set()
    assert select({"fact": "industry", "op": "in", "value": [text]}) == set()
    odd = customer("corporate", industry=text[:8])
    assert select({"fact": "industry", "op": "=", "value": text[:8]}) == {odd.pk}
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from customers_customer")
        assert cursor.fetchone()[0] == 43


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ([1], ""),
        ({"all": "x"}, "all"),
        ({"all": [{}]}, "all.0"),
        ({"all": [], "any": []}, ""),
        ({"fact": "deposits_adb; drop", "op": "=", "value": 1}, "fact"),
        ({"fact": ["deposits_adb"], "op": "=", "value": 1}, "fact"),
        ({"all": [{"fact": "age", "op": "= 1 or", "value": 1}]}, "all.0.op"),
        ({"fact": "kind", "op": ">=", "value": "personal"}, "op"),
        ({"fact": "kind", "op": "is_null"}, "op"),
        ({"fact": "kind", "op": "=", "value": "robot"}, "value"),
        ({"fact": "deposits_adb", "op": "=", "value": "1.001"}, "value"),
        ({"fact": "deposits_adb", "op": "=", "value": "NaN"}, "value"),
        ({"fact": "deposits_adb", "op": "=", "value": "1e30"}, "value"),
        ({"fact": "deposits_adb", "op": "=", "value": True}, "value"),
        ({"fact": "deposits_adb", "op": "between", "value": ["1"]}, "value"),
        ({"fact": "age", "op": "=", "value": 2**31}, "value"),
        ({"fact": "age", "op": "=", "value": "12; select"}, "value"),
        ({"fact": "age", "op": "in", "value": []}, "value"),
        ({"fact": "age", "op": "in", "value": [1, "x"]}, "value.1"),
        ({"fact": "age", "op": "=", "value": 1, "sql": "x"}, ""),
        ({"fact": "customer_since", "op": "=", "value": "2026-02-30"}, "value"),
        ({"fact": "industry", "op": "=", "value": "a\x00b"}, "value"),
        ({"fact": "responsible", "op": "=", "value": "you"}, "value"),
        ({"fact": "home_branch", "op": "=", "value": 2**63}, "value"),
        ({"any": [{"not": {"fact": "age", "op": "is_null", "value": 3}}]}, "any.0.not.value"),
    ],
)
def test_what_is_not_understood_is_named(condition: Any, path: str) -> None:
    with pytest.raises(ConditionError) as raised:
        validate(condition)
    assert raised.value.path == path
    assert raised.value.fields


def test_conditions_are_bounded() -> None:
    deep: Any = {"fact": "age", "op": "=", "value": 1}
    for _unused in range(20):
        deep = {"not": deep}
    for condition in (deep, {"all": [{"fact": "age", "op": "=", "value": 1}] * 101}):
        with pytest.raises(ConditionError):
            validate(condition)
    for text in ("{", "[" * 30_000, '{"all": [' * 3000, "5"):
        with pytest.raises(ConditionError):
            from_query(text)


def test_only_facts_known_on_any_date_may_decide_a_tier() -> None:
    validate({"fact": "deposits_adb", "op": ">=", "value": "1"}, dated=True)
    for name in ("churn", "value_tier", "responsible"):
        with pytest.raises(ConditionError):
            validate({"fact": name, "op": "not_null"} if name != "value_tier" else
                     {"fact": name, "op": "=", "value": "high"}, dated=True)  # fmt: skip


def test_it_is_said_in_words(inside: House, rm: Person) -> None:
    condition = {
        "all": [
            {"fact": "deposits_adb", "op": ">=", "value": "1000000"},
            {"any": [{"fact": "churn", "op": ">", "value": "12.5"}, {"not": {"fact": "is_prospect", "op": "=", "value": True}}]},
            {"fact": "home_branch", "op": "within", "value": inside.north.pk},
            {"fact": "responsible", "op": "in", "value": ["me", rm.staff.pk]},
        ]
    }  # fmt: skip
    assert sentence(condition, "en") == (
        "Deposits (30-day average) at least 1,000,000 and (Churn probability above 12.50% or not (Prospect)) and"
        " Home branch is North or below it and Relationship manager is me or Rm"
    )
    assert sentence(condition, "zh-hans") == (
        "存款（30日日均）不低于 1,000,000，且（流失概率高于 12.50% 或非“目标客户”），且归属机构为North及其下级，"
        "且客户经理为我本人、Rm"
    )
    assert sentence({}, "en") == "Everybody"


def test_forms_and_drill_downs() -> None:
    one = {"fact": "kind", "op": "=", "value": "personal"}
    two = {"fact": "is_prospect", "op": "=", "value": False}
    assert both(None, {}, one) == one
    assert both({"all": [one]}, two) == {"all": [one, two]}
    assert rows_of({"all": [one, two]}) == [one, two]
    assert rows_of({"any": [one, two]}) is None
