"""The churn model's arithmetic against oracles: label, no look ahead, reasons that sum to the score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_site.lib.modelling import validation
from segmentation.engine import churn
from segmentation.engine.churn import Panel, Scorecard
from tests.properties import rule


def panel(adb: list[list[int]], accounts: list[list[int]] | None = None) -> Panel:
    series = np.array(adb, np.int64)
    size, months = series.shape
    zero = np.zeros_like(series)
    return Panel(
        adb=series, balance=series, loans=zero, aum=series,
        accounts=np.array(accounts, np.int64) if accounts else np.ones_like(series), entries=zero, inflow=zero,
        outflow=zero, kind=np.zeros(size, np.int64), birth=np.full(size, 3_000), since=np.full(size, 15_000),
        days=np.arange(20_000, 20_000 + 30 * months, 30), has_entries=np.zeros(months, bool),
    )  # fmt: skip


def random_panel(seed: int, size: int = 400, months: int = 13) -> Panel:
    """Random paths of which some fall for months and stay low."""
    rng = np.random.default_rng(seed)
    level = np.exp(rng.normal(13, 1.2, size))[:, None]
    path = level * np.exp(np.cumsum(rng.normal(0, 0.15, (size, months)), axis=1))
    leaves = np.where(rng.random(size) < 0.4, rng.integers(3, months + 3, size), 99)[:, None]
    ahead = leaves - np.arange(months)[None, :]
    path *= np.where(ahead <= 0, 0.02, np.clip(ahead / 4, 0, 1))
    adb = path.astype(np.int64)
    entries = rng.poisson(6, adb.shape)
    flows = (path * 0.3).astype(np.int64)
    return Panel(
        adb=adb, balance=(path * rng.uniform(0.8, 1.2, adb.shape)).astype(np.int64), loans=adb * (adb % 3 == 0),
        aum=(path * 1.3).astype(np.int64), accounts=np.where(ahead < -1, 0, 1 + adb % 2), entries=entries,
        inflow=flows, outflow=flows[:, ::-1].copy(), kind=rng.integers(0, 3, size), birth=rng.integers(0, 12_000, size),
        since=rng.integers(10_000, 18_000, size), days=np.arange(19_000, 19_000 + 30 * months, 30),
        has_entries=np.ones(months, bool),
    )  # fmt: skip


def left(adb: list[int], accounts: list[int], t: int) -> bool:
    """The issue's words, customer by customer."""
    base = sum(adb[t - 5 : t + 1]) / 6
    for month in (t + 1, t + 2):
        if adb[month] < 0.1 * base and adb[month + 1] < 0.1 * base:
            return True
    return accounts[t] > 0 and accounts[t + 3] == 0


@rule("churn: labels and metrics", few=60, many=2_000)
@given(
    st.lists(st.lists(st.integers(0, 50_000_000), min_size=9, max_size=9), min_size=1, max_size=20), st.data()
)
def test_the_label_is_the_bank_s_definition(adb: list[list[int]], data: st.DataObject) -> None:
    accounts = data.draw(
        st.lists(st.lists(st.integers(0, 2), min_size=9, max_size=9), min_size=len(adb), max_size=len(adb))
    )
    got = churn.label(panel(adb, accounts), 5)
    assert got.tolist() == [left(a, n, 5) for a, n in zip(adb, accounts, strict=True)]


def test_one_low_month_end_is_not_leaving_but_two_are() -> None:
    base = [1_000_000] * 6
    rows = [
        [*base, 50_000, 900_000, 900_000],
        [*base, 50_000, 50_000, 900_000],
        [*base, 900_000, 50_000, 50_000],
    ]
    assert churn.label(panel(rows), 5).tolist() == [False, True, True]


def test_who_is_left_out() -> None:
    steady = [5_000_000] * 6
    moving = [5_000_000, 4_000_000, 5_000_000, 6_000_000, 5_000_000, 5_500_000]
    tiny = [m // 100 for m in moving]
    gone = [*moving[:5], 100_000]
    rows = [moving, steady, tiny, gone, moving, [0] * 6]
    accounts = [[1] * 6, [1] * 6, [1] * 6, [1] * 6, [0, 0, 1, 1, 1, 1], [0] * 6]
    assert churn.population(panel(rows, accounts), 5).tolist() == [True, False, False, False, False, False]


def test_the_future_does_not_change_features() -> None:
    """Shuffle and falsify every month after t: features, population and score at t stay as they were."""
    whole, rng = random_panel(1), np.random.default_rng(9)
    t = 7
    changed = {}
    for name in churn.SERIES:
        series = getattr(whole, name).copy()
        series[:, t + 1 :] = rng.permuted(series[:, t + 1 :], axis=0)[:, ::-1] * 7 + 13
        changed[name] = series
    other = Panel(
        **changed, kind=whole.kind, birth=whole.birth, since=whole.since, days=whole.days,
        has_entries=np.append(whole.has_entries[: t + 1], np.zeros(5, bool)),
    )  # fmt: skip
    before, after = churn.features(whole, t), churn.features(other, t)
    assert before.keys() == after.keys() == set(churn.BY_NAME)
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name], err_msg=name)
    np.testing.assert_array_equal(churn.population(whole, t), churn.population(other, t))


def developed(seed: int = 2) -> tuple[Scorecard, Panel, int]:
    whole = random_panel(seed, size=4_000)
    who = churn.population(whole, 5)
    values = {name: v[who] for name, v in churn.features(whole, 5).items()}
    return churn.fit(values, churn.label(whole, 5)[who]), whole, 9


def test_contributions_and_intercept_sum_to_the_score() -> None:
    card, whole, t = developed()
    scored = card.score(churn.features(whole, t))
    logit = np.log(scored.probability / (1 - scored.probability))
    np.testing.assert_allclose(logit, card.intercept + scored.contributions.sum(axis=1), atol=1e-9)
    codes, values = card.reasons(scored)
    assert codes.shape == values.shape == (len(logit), 3)
    by_code = {churn.BY_NAME[n].code: i for i, n in enumerate(card.names)}
    for row in range(0, len(logit), 97):
        given_reasons = [c for c in codes[row].tolist() if c]
        added = [scored.contributions[row, by_code[c]] for c in given_reasons]
        assert added == sorted(added, reverse=True)
        assert all(a >= 0.05 for a in added)
        others = np.delete(scored.contributions[row], [by_code[c] for c in given_reasons])
        if len(given_reasons) == 3 and len(others):
            assert min(added) >= others.max() - 1e-12


def test_a_stored_model_scores_as_the_fresh_one() -> None:
    import json

    card, whole, t = developed()
    again = Scorecard.from_json(json.loads(json.dumps(card.as_json())))
    assert again == card
    np.testing.assert_array_equal(
        again.score(churn.features(whole, t)).probability, card.score(churn.features(whole, t)).probability
    )


def test_evidence_is_monotone_where_the_bank_expects_it() -> None:
    card, _whole, _t = developed()
    for name, points in zip(card.names, card.points, strict=True):
        falls = churn.BY_NAME[name].falls
        if falls:
            assert (np.diff(points[:-1]) * falls >= -1e-12).all(), name


def test_it_finds_leavers_it_has_not_seen() -> None:
    card, whole, t = developed()
    who = churn.population(whole, t)
    probability = card.score({n: v[who] for n, v in churn.features(whole, t).items()}).probability
    assert validation.auc(probability, churn.label(whole, t)[who]) > 0.7


def test_training_outcomes_are_known_before_validation_begins() -> None:
    assert churn.windows(11) is None
    for months in range(12, 26):
        found = churn.windows(months)
        assert found is not None
        assert max(found.train) + churn.AHEAD <= found.validate
        assert min(found.train) >= churn.BACK
        assert found.validate + churn.AHEAD == months - 1


@rule("churn: labels and metrics", few=80, many=3_000)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_auc_ks_and_lift_against_counting(rows: list[tuple[int, bool]]) -> None:
    score = np.array([s / 7 for s, _l in rows])
    target = np.array([gone for _s, gone in rows])
    if target.all() or not target.any():
        assert np.isnan(validation.auc(score, target))
        return
    pairs = [(b > g) + (b == g) / 2 for b in score[target] for g in score[~target]]
    assert validation.auc(score, target) == pytest.approx(sum(pairs) / len(pairs))
    apart = max(abs((score[target] <= c).mean() - (score[~target] <= c).mean()) for c in score)
    assert validation.ks(score, target) == pytest.approx(apart)
    everybody = churn.lift(score, target, 1.0)
    assert everybody == pytest.approx(1.0)


def test_stability_is_zero_for_the_same_and_large_for_another_population() -> None:
    assert validation.stability([0.1] * 10, [0.1] * 10) == pytest.approx(0)
    assert validation.stability([0.1] * 10, [0.0] * 5 + [0.2] * 5) > 0.25


def test_one_outcome_only_is_refused() -> None:
    with pytest.raises(ValueError, match="both outcomes"):
        churn.fit({"baseline": np.arange(10.0)}, np.zeros(10, bool))
