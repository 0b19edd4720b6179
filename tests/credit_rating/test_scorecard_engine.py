"""Scorecards: tables that say what they should, points that are log-odds, scoring from stored tables alone."""

from __future__ import annotations

import json
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_rating.engine import binning
from credit_rating.engine.binning import Bin, Factor, bin_factor, special_numbers, weight_of_evidence
from credit_rating.engine.columns import column_of, number_column, number_of, text_column, text_of
from credit_rating.engine.evaluation import cross_validate
from credit_rating.engine.samples import SampleError, read_sample
from credit_rating.engine.scorecard import Development, Scale, Scorecard, develop
from crm_site.lib.modelling import validation

# optbinning asks pandas for something it will take away.
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")


def sample(rows: int = 1500, seed: int = 3) -> tuple[dict[str, Any], np.ndarray]:
    """Income (rising quality), a code -9 for unknown savings, a trade, a U-shaped age, and noise."""
    rng = np.random.default_rng(seed)
    income, age = rng.normal(5, 2, rows).round(2), rng.uniform(20, 70, rows).round()
    savings = np.where(rng.random(rows) < 0.1, -9, rng.integers(0, 50, rows)).astype(float)
    trade = rng.choice(["farm", "shop", "works", "transport"], rows, p=[0.4, 0.3, 0.28, 0.02])
    risk = -1.2 - 0.5 * (income - 5) + 0.004 * (age - 45) ** 2 - 0.9 + np.where(trade == "shop", 0.8, 0.0)
    risk = risk + np.where(savings == -9, 1.5, -0.02 * savings)
    bad = rng.random(rows) < 1 / (1 + np.exp(-risk))
    income[rng.random(rows) < 0.08] = np.nan
    columns = {
        "income": number_column(income), "savings": number_column(savings), "trade": text_column(trade),
        "age": number_column(age), "noise": number_column(rng.normal(size=rows)),
    }  # fmt: skip
    return columns, bad


@pytest.fixture(scope="module")
def developed() -> Development:
    columns, bad = sample()
    return develop(columns, bad)


def test_a_flag_that_one_outcome_alone_carries_is_a_factor() -> None:
    """No bad case among 300 is the strongest word of all, not "too little information"; so is a perfect column."""
    rng = np.random.default_rng(5)
    bad = rng.random(3000) < 0.05
    safe = ~bad & (rng.random(3000) < 0.1)
    columns = {
        "safe": number_column(safe.astype(float)), "told": number_column(bad * 10 + rng.normal(0, 0.01, 3000)),
        "noise": number_column(rng.normal(size=3000)),
    }  # fmt: skip
    factor = bin_factor("safe", columns["safe"], bad)
    found = {b.upper: b for b in factor.bins if b.kind == "range"}
    assert found[0.5].woe < 0 < found[None].woe
    assert found[None].bad == 0
    card = develop(columns, bad).card
    assert validation.auc(-card.score(columns).scores, bad) > 0.999


class TestEvidence:
    @given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=8))
    def test_it_is_the_log_of_shares(self, bins: list[tuple[int, int]]) -> None:
        goods, bads = sum(g for g, _b in bins), sum(b for _g, b in bins)
        oracle = [log((g / goods) / (b / bads)) for g, b in bins]
        count = np.array([g + b for g, b in bins], float)
        bad = np.array([b for _g, b in bins], float)
        found = weight_of_evidence(bad, count)
        assert found == pytest.approx(oracle, abs=1e-9)
        iv = sum((g / goods - b / bads) * w for (g, b), w in zip(bins, oracle, strict=True))
        assert binning.information_value(bad, count, found) == pytest.approx(iv, abs=1e-9)

    def test_small_bins_say_less_and_empty_ones_nothing(self) -> None:
        bad, count = np.array([2.0, 200.0, 98.0, 0.0]), np.array([2.0, 400.0, 598.0, 0.0])
        raw, kept = weight_of_evidence(bad, count), weight_of_evidence(bad, count, pseudo=10)
        assert raw[0] == 0 and -2 < kept[0] < 0 and kept[3] == 0
        assert abs(kept[1] - raw[1]) < 0.05


class TestBins:
    def test_one_trend_where_asked(self) -> None:
        columns, bad = sample()
        for name in ("income", "age", "savings", "noise"):
            woe = [
                b.woe for b in bin_factor(name, columns[name], bad, monotonic=True).bins if b.kind == "range"
            ]
            steps = np.diff(woe)
            assert (steps >= 0).all() or (steps <= 0).all(), name

    def test_a_turn_is_believed_only_where_it_pays(self) -> None:
        columns, bad = sample(6000)
        age = bin_factor("age", columns["age"], bad)
        assert age.trend == "" and len(age.bins) > 3
        assert bin_factor("income", columns["income"], bad).trend == "rising"

    def test_ranges_meet_and_count_everyone(self, developed: Development) -> None:
        for factor in developed.card.factors:
            ranges = [b for b in factor.bins if b.kind == "range"]
            assert all(one.upper == two.lower for one, two in pairwise(ranges))
            if ranges:
                assert ranges[0].lower is None and ranges[-1].upper is None
            assert sum(b.count for b in factor.bins) == developed.card.rows
            assert sum(b.bad for b in factor.bins) == developed.card.bads

    def test_bounds_belong_to_the_upper_range(self) -> None:
        factor = Factor("x", True, (Bin("range", None, 2.0), Bin("range", 2.0, None), Bin("missing")))
        assert factor.places(number_column([1.99, 2.0, 2.01, None])).tolist() == [0, 1, 1, 2]

    def test_codes_stand_in_bins_of_their_own(self) -> None:
        columns, bad = sample()
        factor = bin_factor("savings", columns["savings"], bad)
        special = next(b for b in factor.bins if b.kind == "special")
        assert special.values == ("-9",) and special.woe < -0.5
        assert special.count == int((columns["savings"].numbers == -9).sum())
        words = bin_factor("x", column_of(["3", "4", "none on file", "5"] * 200), np.arange(800) % 3 == 0)
        assert ("none on file",) in [b.values for b in words.bins if b.kind == "special"]

    @pytest.mark.parametrize(
        ("values", "codes"),
        [
            ([0, 1, 5, -9, -9, -8, -8], [-9, -8]),
            ([0, 1, 5, -3.5, -9, -9], []),  # other negatives: an ordinary value
            ([0, 1, 13, 98, 98, 96, 96], [96, 98]),
            ([60, 70, 97, 99, 99], []),  # near the others: an ordinary value
            ([1, 2, 3, -9], []),  # once only
        ],
    )
    def test_which_numbers_are_codes(self, values: list[float], codes: list[float]) -> None:
        assert special_numbers(np.array(values, float)) == codes

    def test_no_optimum_to_seek(self) -> None:
        bad = np.arange(300) % 4 == 0
        for column in (number_column(np.ones(300)), number_column([None] * 300), text_column([""] * 300)):
            factor = bin_factor("x", column, bad)
            assert factor.iv == pytest.approx(0, abs=1e-9)


class TestPoints:
    def test_they_add_up_to_log_odds(self) -> None:
        columns, bad = sample()
        card = develop(columns, bad, scale=Scale(decimals=9)).card
        scored = card.score(columns)
        assert scored.scores == pytest.approx(card.base + scored.points.sum(axis=1))
        odds = np.log((1 - scored.probability) / scored.probability)
        assert odds == pytest.approx(log(50) + (scored.scores - 600) / 20 * log(2), abs=1e-6)
        # the regression's intercept makes the mean probability the sample's rate
        assert scored.probability.mean() == pytest.approx(bad.mean(), abs=1e-3)

    def test_twenty_more_double_the_odds(self) -> None:
        scale = Scale(score=600, odds=50, pdo=20)
        low, high = scale.probability(np.array([600.0, 620.0]))
        assert (1 - low) / low == pytest.approx(50) and (1 - high) / high == pytest.approx(100)

    def test_whole_points_stay_near(self, developed: Development) -> None:
        columns, bad = sample()
        exact = develop(columns, bad, scale=Scale(decimals=9)).card.score(columns)
        whole = developed.card.score(columns)
        assert np.abs(exact.scores - whole.scores).max() <= (len(developed.card.factors) + 1) / 2 + 1e-6
        assert (whole.scores == np.round(whole.scores)).all()

    def test_safer_bins_have_more_points(self, developed: Development) -> None:
        for factor in developed.card.factors:
            assert factor.weight > 0
            ordered = sorted(factor.bins, key=lambda b: b.woe)
            assert all(one.points <= two.points for one, two in pairwise(ordered))

    def test_reasons_are_what_costs_most(self, developed: Development) -> None:
        card = developed.card
        scored = card.score({"income": [1.0], "savings": [-9.0], "trade": ["farm"], "age": [45.0]})
        reasons = card.reasons(scored)[0]
        assert {name for name, _bin, _points in reasons[:2]} == {"income", "savings"}
        assert all(points < 0 for _name, _bin, points in reasons)
        assert [p for *_rest, p in reasons] == sorted(p for *_rest, p in reasons)


class TestScoringFromTables:
    def test_stored_tables_score_as_the_fitted_ones(self, developed: Development) -> None:
        columns, _bad = sample(400, seed=9)
        stored = Scorecard.from_json(json.loads(json.dumps(developed.card.as_json())))
        assert stored == developed.card
        assert stored.score(columns).scores.tolist() == developed.card.score(columns).scores.tolist()

    def test_a_file_and_the_bank_write_values_differently(self, developed: Development) -> None:
        as_numbers = {
            "income": [6.5, None],
            "savings": [-9, 20],
            "trade": ["shop", "farm"],
            "age": [30, 44.0],
        }
        as_text = {
            "income": ["6.50", ""], "savings": ["-9", "20.0"], "trade": [" shop", "farm "], "age": ["30", "44"],
        }  # fmt: skip
        one, other = developed.card.score(as_numbers), developed.card.score(as_text)
        assert one.scores.tolist() == other.scores.tolist()

    def test_what_the_sample_never_told_is_neutral(self, developed: Development) -> None:
        card = developed.card
        position = {factor.name: i for i, factor in enumerate(card.factors)}
        scored = card.score({"trade": ["never seen", "transport", ""], "savings": [None, float("inf"), 10]})
        assert scored.points[0, position["trade"]] == 0  # unseen: with the rare ones
        assert scored.points[2, position["trade"]] == 0  # unknown, and never so in the sample
        assert scored.points[0, position["savings"]] == scored.points[1, position["savings"]] == 0
        # income was unknown for many: that has evidence of its own
        missing = next(b for b in card.factors[position["income"]].bins if b.kind == "missing")
        assert missing.count > 50 and scored.points[0, position["income"]] == missing.points

    def test_nothing_known_scores_the_base_and_what_missing_says(self, developed: Development) -> None:
        scored = developed.card.score({}, size=2)
        assert scored.scores == pytest.approx(developed.card.base + scored.points.sum(axis=1))
        assert scored.scores.shape == (2,)


class TestChoice:
    def test_noise_and_doubles_stay_out(self) -> None:
        columns, bad = sample()
        columns["again"] = columns["income"]
        columns["constant"] = number_column(np.ones(len(bad)))
        found = develop(columns, bad, max_factors=3, monotonic=True)
        fate = {c.name: c.reason for c in found.considered}
        assert len(found.card.factors) == 3
        assert fate["constant"] == "too little information" and fate["noise"]
        assert sorted((bool(fate["income"]), bool(fate["again"]))) == [False, True]

    def test_many_categories_of_noise_say_nothing(self) -> None:
        columns, bad = sample(3000)
        rng = np.random.default_rng(1)
        columns["noise"] = text_column([f"c{i}" for i in rng.integers(0, 100, len(bad))])
        found = develop(columns, bad)
        assert next(c.iv for c in found.considered if c.name == "noise") < 0.02

    def test_no_factor_is_a_scorecard_too(self) -> None:
        bad = np.arange(300) % 4 == 0
        card = develop({"constant": number_column(np.ones(300))}, bad).card
        assert card.factors == ()
        assert card.score({}, size=3).probability == pytest.approx([0.25] * 3, abs=0.01)

    def test_both_outcomes_are_needed(self) -> None:
        with pytest.raises(ValueError, match="both outcomes"):
            develop({"x": number_column([1.0, 2.0])}, np.array([True, True]))


class TestFigures:
    @given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
    def test_auc_and_ks_against_every_pair_and_cut(self, cases: list[tuple[int, bool]]) -> None:
        scores, bad = np.array([float(s) for s, _b in cases]), np.array([b for _s, b in cases])
        if bad.all() or not bad.any():
            assert np.isnan(validation.auc(scores, bad)) and np.isnan(validation.ks(scores, bad))
            return
        pairs = [(x > y) + 0.5 * (x == y) for x in scores[bad] for y in scores[~bad]]
        assert validation.auc(scores, bad) == pytest.approx(np.mean(pairs))
        assert validation.gini(scores, bad) == pytest.approx(2 * np.mean(pairs) - 1)
        gaps = [abs((scores[bad] <= c).mean() - (scores[~bad] <= c).mean()) for c in set(scores)]
        assert validation.ks(scores, bad) == pytest.approx(max(gaps))

    def test_report(self) -> None:
        columns, bad = sample()
        card = develop(columns, bad).card
        mine = card.score(columns)
        cuts = validation.score_bands(mine.scores)
        later, outcome = sample(800, seed=11)
        theirs = card.score(later)
        report = validation.validate(
            theirs.scores, theirs.probability, outcome, sample="later", window="2025", cuts=cuts,
            development=validation.shares(mine.scores, cuts),
        )  # fmt: skip
        assert report.rows == 800 and report.bads == outcome.sum() and report.psi is not None
        assert report.psi < validation.STABLE and report.auc > 0.7
        assert sum(b.count for b in report.bands) == 800 and sum(b.bad for b in report.bands) == outcome.sum()
        for row in report.cut_offs:
            assert row.bads_refused + row.bads_accepted == outcome.sum()
            assert row.approved == pytest.approx((theirs.scores >= row.cut_off).mean())

    def test_stability_and_calibration_notice(self) -> None:
        assert validation.stability([0.5, 0.5], [0.5, 0.5]) == 0
        assert validation.stability([0.5, 0.5], [0.8, 0.2]) == pytest.approx(
            0.3 * log(0.8 / 0.5) - 0.3 * log(0.2 / 0.5)
        )
        bad = np.arange(200) < 60
        told = validation.calibration(np.full(200, 0.1), bad, [0] * 200, ["BBB", "CCC"])
        assert told[0].observed == 0.3 and told[0].p_value is not None and told[0].p_value < 0.001
        assert told[1].count == 0 and told[1].p_value is None

    def test_outcomes_of_the_fold_are_not_seen(self) -> None:
        """Pure noise, in many categories too, cannot be predicted."""
        rng = np.random.default_rng(2)
        columns = {
            "a": number_column(rng.normal(size=900)),
            "b": text_column(rng.integers(0, 40, 900).astype(str)),
        }
        bad = rng.random(900) < 0.3

        def method(there: Any, outcome: Any, here: Any) -> Any:
            return develop(there, outcome, least_information=0.0).card.score(here, 300).probability

        figures = cross_validate(method, columns, bad, count=3, seed=1)
        assert abs(figures.auc - 0.5) < 0.07


class TestFiles:
    def written(self, path: Path, text: str, encoding: str = "utf-8") -> Path:
        file = path / "sample.csv"
        file.write_bytes(text.encode(encoding))
        return file

    @pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
    def test_delimiters_encodings_and_chinese_names(self, tmp_path: Path, mark: str, encoding: str) -> None:
        head = mark.join(("客户编号", "年 收入", "有房", "日期", "常数", "违约"))
        rows = [
            mark.join((str(1000 - i), str(i % 37), ("True", "False", "")[i % 3], f"2024-0{i % 9 + 1}-11", "x",
                       "是" if i % 5 == 0 else "否"))
            for i in range(120)
        ]  # fmt: skip
        found = read_sample(self.written(tmp_path, "\n".join([head, *rows]), encoding), target="违约")
        assert found.positive == "是" and found.taken_by == "rarer" and found.target.sum() == 24
        assert list(found.columns) == ["年 收入", "有房"]
        assert set(found.left_out) == {"客户编号", "日期", "常数"}

    def test_positive_as_asked_and_unknown_outcomes(self, tmp_path: Path) -> None:
        rows = [f"{i % 7},{('0', '1', '2', '')[i % 4]}" for i in range(200)]
        file = self.written(tmp_path, "\n".join(["x,y", *rows]))
        found = read_sample(file, target="y", positive="1.0")
        assert found.target.sum() == 50 and len(found.target) == 150 and found.without_target == 50
        with pytest.raises(SampleError, match="--positive"):
            read_sample(file, target="y")
        with pytest.raises(SampleError, match="never 7"):
            read_sample(file, target="y", positive="7")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "empty"),
            ("1,2,3\n4,5,6\n", "no-header"),
            ("a,b\n1,2\n", "no column y"),
            ("a,y,a\n1,2,3\n", "Two columns"),
            ("a,y\n1,0\n2,1\n", "too few"),
        ],
    )
    def test_what_is_no_sample_is_said(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(SampleError, match=message):
            read_sample(self.written(tmp_path, text), target="y")

    def test_without_header(self, tmp_path: Path) -> None:
        text = "\n".join(f"{i % 11} {i % 3} {int(i % 4 == 0)}" for i in range(100))
        found = read_sample(self.written(tmp_path, text), target="3", header=False)
        assert list(found.columns) == ["1", "2"] and found.target.sum() == 25

    def test_how_values_are_written(self) -> None:
        assert [number_of(t) for t in ("1,234.5", "0,5", "12%", "-9")] == [1234.5, 0.5, 12.0, -9.0]
        assert [text_of(v) for v in (2.0, True, None, float("nan"), " NA ", "none")] == [
            "2", "true", "", "", "", "none",
        ]  # fmt: skip


def test_a_column_that_tells_the_outcome_is_named_and_one_beyond_all_figures_is_unknown() -> None:
    dice = np.random.default_rng(5)
    bad = dice.random(600) < 0.3
    columns = {
        "age": number_column(dice.normal(40, 10, 600) - 5 * bad),
        "repaid": number_column(np.where(bad, 0, 1)),
        "beyond": number_column(np.where(bad, np.inf, 1e300)),
    }
    found = develop(columns, bad)
    assert found.suspects == ["repaid"]
    assert found.card.factors[0].name == "repaid"
    assert np.isnan(number_column(["1e300", "-1e31", "1e30"]).numbers).tolist() == [True, True, False]
