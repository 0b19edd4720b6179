"""Who is about to leave: features, label, an additive scorecard and its validation (B9). Pure NumPy.

A month axis runs oldest first; `t` is the position of the observation month-end. Amounts are minor units of the
bank's currency. Features read months t-5 … t only; the label reads t-5 … t+3.

The model is a logistic regression on weight-of-evidence bins: each bin of each feature carries a number of
log-odds, the score is their sum, so every score can say its reasons exactly (Siddiqi, Credit Risk Scorecards).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm_site.lib.modelling import Bools, Floats, Ints
from crm_site.lib.modelling.regression import logistic, sigmoid
from crm_site.lib.modelling.validation import shares

BACK = 5  # month-ends before t that features and baseline read
AHEAD = 3  # month-ends after t that the label reads
FLOOR = 100_000  # baseline of deposits in minor units (1,000.00) below which nobody can be said to leave
GONE = 0.10  # of the baseline
STILL = 0.01  # deposits that stay within so much of their largest month-end all the while are dormant
MONTHS_NEEDED = BACK + 2 * AHEAD + 1  # train at t, validate at t + 3 at least, and see what came of it
YEAR_DAYS = 365.25
KINDS = ("personal", "corporate", "household")


@dataclass(frozen=True)
class Panel:
    """Monthly figures of customers, arrays (customers, months); per customer kind (position in KINDS), birth and
    customer-since in days since 1970 (-1 unknown); `days`: of each month axis position. `has_entries`: per month,
    whether the bank has booked entries then at all."""

    adb: Ints
    balance: Ints
    loans: Ints
    aum: Ints
    accounts: Ints
    entries: Ints
    inflow: Ints
    outflow: Ints
    kind: Ints
    birth: Ints
    since: Ints
    days: Ints
    has_entries: Bools

    @property
    def months(self) -> int:
        return self.adb.shape[1]

    def until(self, t: int) -> Panel:
        """Without the months after t."""
        cut = {name: getattr(self, name)[:, : t + 1] for name in SERIES}
        return Panel(
            **cut, kind=self.kind, birth=self.birth, since=self.since, days=self.days[: t + 1],
            has_entries=self.has_entries[: t + 1],
        )  # fmt: skip


SERIES = ("adb", "balance", "loans", "aum", "accounts", "entries", "inflow", "outflow")


@dataclass(frozen=True)
class Feature:
    """`code` is stored with scores and never changes. `falls`: -1 when risk falls as the value rises, 1 when it
    rises, 0 when either may be. Needs entries: only where the bank delivers them for the months it reads."""

    code: int
    name: str
    falls: int = 0
    needs_entries: bool = False


FEATURES = (
    Feature(1, "adb_to_quarter", -1),  # deposits (ADB) at t to the mean of the three month-ends before
    Feature(2, "adb_to_peak", -1),  # … to the highest of the six
    Feature(3, "balance_to_adb", -1),  # balance on the day to the average of its thirty days
    Feature(4, "falling_months", 1),  # month-ends in a row with lower deposits
    Feature(5, "volatility"),  # mean absolute monthly change to the baseline
    Feature(6, "baseline"),  # mean deposits of the six month-ends, in units of the currency
    Feature(7, "entries_to_quarter", -1, needs_entries=True),
    Feature(8, "inflow_to_quarter", -1, needs_entries=True),
    Feature(9, "net_outflow", 1, needs_entries=True),  # of the month, to the baseline
    Feature(10, "open_accounts", -1),
    Feature(11, "accounts_closed", 1),  # net, in three months
    Feature(12, "holdings", -1),  # 0 none, 1 some, per cent of AUM in steps
    Feature(13, "has_loan", -1),
    Feature(14, "tenure_years"),
    Feature(15, "age_years"),
    Feature(16, "kind"),
)
BY_NAME = {feature.name: feature for feature in FEATURES}
BY_CODE = {feature.code: feature for feature in FEATURES}


def baseline(panel: Panel, t: int) -> Floats:
    """Mean deposits (ADB) of t and the five month-ends before."""
    return panel.adb[:, t - BACK : t + 1].mean(axis=1)


def population(panel: Panel, t: int) -> Bools:
    """Whom a score at t is about. Left out: baseline below the floor (with it loan-only customers), accounts for
    less than six month-ends, dormant (deposits still for six month-ends), already gone at t."""
    base, window = baseline(panel, t), panel.adb[:, t - BACK : t + 1]
    moving = window.max(axis=1) - window.min(axis=1) > STILL * window.max(axis=1)
    held = (panel.accounts[:, t - BACK] > 0) & (panel.accounts[:, t] > 0)
    return (base >= FLOOR) & held & moving & (panel.adb[:, t] >= GONE * base)


def label(panel: Panel, t: int) -> Bools:
    """Churned after t: at t+1 or t+2, and at the month-end after it, below a tenth of the baseline; or all
    accounts closed by t+3."""
    low = panel.adb[:, t + 1 : t + AHEAD + 1] < GONE * baseline(panel, t)[:, None]
    closed = (panel.accounts[:, t] > 0) & (panel.accounts[:, t + AHEAD] == 0)
    return (low[:, 0] & low[:, 1]) | (low[:, 1] & low[:, 2]) | closed


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole within 0 … 5; unknown where there is no whole."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, np.clip(part / whole, 0, 5), np.nan)


def features(panel: Panel, t: int) -> dict[str, Floats]:
    """Feature values at t, by name; NaN = unknown. Reads nothing after t."""
    seen = panel.until(t)
    adb = seen.adb[:, -BACK - 1 :].astype(float)
    now, base = adb[:, -1], adb.mean(axis=1)
    change = np.diff(adb, axis=1)
    run = np.zeros(len(now))
    for column in range(change.shape[1]):
        run = np.where(change[:, column] < 0, run + 1, 0)
    held = np.clip(
        _ratio((seen.aum[:, -1] - seen.balance[:, -1]).astype(float), seen.aum[:, -1].astype(float)), 0, 1
    )
    found = {
        "adb_to_quarter": _ratio(now, adb[:, -4:-1].mean(axis=1)),
        "adb_to_peak": _ratio(now, adb.max(axis=1)),
        "balance_to_adb": _ratio(seen.balance[:, -1].astype(float), now),
        "falling_months": run,
        "volatility": _ratio(np.abs(change).mean(axis=1), base),
        "baseline": base / 100,
        "open_accounts": seen.accounts[:, -1].astype(float),
        "accounts_closed": np.maximum(seen.accounts[:, -4] - seen.accounts[:, -1], 0).astype(float),
        "holdings": np.round(np.nan_to_num(held), 2),
        "has_loan": (seen.loans[:, -1] > 0).astype(float),
        "tenure_years": np.where(seen.since >= 0, (seen.days[-1] - seen.since) / YEAR_DAYS, np.nan),
        "age_years": np.where(
            (seen.birth != -1) & (seen.kind != KINDS.index("corporate")),
            (seen.days[-1] - seen.birth) / YEAR_DAYS,
            np.nan,
        ),
        "kind": seen.kind.astype(float),
    }
    if seen.has_entries[-4:].all():
        quarter = slice(-4, -1)
        found["entries_to_quarter"] = _ratio(
            seen.entries[:, -1].astype(float), seen.entries[:, quarter].mean(axis=1)
        )
        found["inflow_to_quarter"] = _ratio(
            seen.inflow[:, -1].astype(float), seen.inflow[:, quarter].mean(axis=1)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            net = (seen.outflow[:, -1] - seen.inflow[:, -1]) / base
        found["net_outflow"] = np.where(base > 0, np.clip(net, -5, 5), np.nan)
    else:
        for feature in FEATURES:
            if feature.needs_entries:
                found[feature.name] = np.full(len(now), np.nan)
    return found


# -- the scorecard ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scored:
    """Probabilities (n,), and per feature of the model the log-odds it adds (n, features) over an average customer."""

    probability: Floats
    contributions: Floats
    values: Floats


@dataclass(frozen=True)
class Scorecard:
    """An additive model as data. `edges[i]`: upper bounds of feature i's bins, the last bin open; `points[i]`:
    log-odds of each bin, one more at the end for unknown. `expected`: share of the training sample per tenth of
    its probability, `cuts` the bounds between them: what drift is measured against."""

    names: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    points: tuple[tuple[float, ...], ...]
    intercept: float
    cuts: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()

    def score(self, values: Mapping[str, Floats]) -> Scored:
        """Score customers: probability = 1 / (1 + exp(-(intercept + sum of contributions)))."""
        columns = [np.asarray(values[name], float) for name in self.names]
        parts = [
            np.asarray(points)[_bin(column, edges)]
            for column, edges, points in zip(columns, self.edges, self.points, strict=True)
        ]
        size = len(next(iter(values.values())))
        contributions = np.column_stack(parts) if parts else np.zeros((size, 0))
        raw = np.column_stack(columns) if columns else np.zeros((size, 0))
        return Scored(sigmoid(self.intercept + contributions.sum(axis=1)), contributions, raw)

    def reasons(self, scored: Scored, top: int = 3, least: float = 0.05) -> tuple[Ints, Floats]:
        """Codes (n, top) of the features that raise the score most, 0 = none, and their values."""
        size, width = scored.contributions.shape
        codes, values = np.zeros((size, top), np.int64), np.zeros((size, top))
        if not width:
            return codes, values
        order = np.argsort(-scored.contributions, axis=1, kind="stable")[:, :top]
        added = np.take_along_axis(scored.contributions, order, axis=1)
        own = np.array([BY_NAME[name].code for name in self.names])
        shown = (added >= least) & ~np.isnan(np.take_along_axis(scored.values, order, axis=1))
        codes[:, : order.shape[1]] = np.where(shown, own[order], 0)
        values[:, : order.shape[1]] = np.where(shown, np.take_along_axis(scored.values, order, axis=1), 0)
        # what is left out of the middle moves to the end
        rank = np.argsort(codes == 0, axis=1, kind="stable")
        return np.take_along_axis(codes, rank, axis=1), np.take_along_axis(values, rank, axis=1)

    def as_json(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "edges": [list(e) for e in self.edges],
            "points": [list(p) for p in self.points],
            "intercept": self.intercept,
            "cuts": list(self.cuts),
            "expected": list(self.expected),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scorecard:
        """Raises KeyError or TypeError for a document of another shape."""
        return cls(
            names=tuple(data["names"]),
            edges=tuple(tuple(map(float, e)) for e in data["edges"]),
            points=tuple(tuple(map(float, p)) for p in data["points"]),
            intercept=float(data["intercept"]),
            cuts=tuple(map(float, data["cuts"])),
            expected=tuple(map(float, data["expected"])),
        )


def _bin(column: Floats, edges: Sequence[float]) -> Ints:
    """Bin positions; unknown values have the one after the last."""
    return np.where(np.isnan(column), len(edges) + 1, np.searchsorted(np.asarray(edges), column, side="left"))


# Bounds of bins as quantiles: finer at both ends, where leavers are.
QUANTILES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)


def _edges(column: Floats) -> tuple[float, ...]:
    """Upper bounds of bins; a value that many share is one bin."""
    known = column[~np.isnan(column)]
    if not len(known):
        return ()
    distinct = np.unique(known)
    if len(distinct) <= len(QUANTILES) + 1:
        return tuple(((distinct[:-1] + distinct[1:]) / 2).tolist())
    inner = np.quantile(known, QUANTILES)
    return tuple(e for e in np.unique(inner).tolist() if known.min() <= e < known.max())


def _evidence(places: Ints, target: Bools, weight: float, bins: int) -> Floats:
    """Weight of evidence per bin (positive = riskier), shrunk towards 0 where a bin is thin."""
    bad = np.bincount(places, weights=target, minlength=bins)
    count = np.bincount(places, minlength=bins)
    rate = target.mean()
    smooth = (bad + weight * rate) / (count + weight)
    smooth = np.clip(smooth, 1e-6, 1 - 1e-6)
    return np.log(smooth / (1 - smooth)) - np.log(rate / (1 - rate))


def _monotone(values: Floats, counts: Floats, falls: int) -> Floats:
    """Pool adjacent violators so that the values only rise (falls > 0) or only fall (falls < 0)."""
    if falls == 0 or len(values) < 2:
        return values
    sign = float(np.sign(falls))
    pooled: list[list[float]] = []
    for value, count in zip(sign * values, np.maximum(counts, 1e-9), strict=True):
        pooled.append([value, count, 1])
        while len(pooled) > 1 and pooled[-2][0] > pooled[-1][0]:
            value_b, count_b, size_b = pooled.pop()
            value_a, count_a, size_a = pooled.pop()
            total = count_a + count_b
            pooled.append([(value_a * count_a + value_b * count_b) / total, total, size_a + size_b])
    return sign * np.repeat([p[0] for p in pooled], [int(p[2]) for p in pooled])


def fit(
    values: Mapping[str, Floats],
    target: Bools,
    *,
    bins: int = 8,
    ridge: float = 1.0,
    least_information: float = 0.005,
) -> Scorecard:
    """Develop a scorecard: bins, monotone evidence, logistic regression by Newton steps with a ridge.

    Features that carry next to no information, and those whose sign would turn once others are in, are dropped.
    Raises ValueError when one of both outcomes is missing.
    """
    target = np.asarray(target, bool)
    if target.all() or not target.any():
        raise ValueError("both outcomes are needed to develop a model")
    names, edges, evidence, columns = [], [], [], []
    for name, given in values.items():
        column = np.asarray(given, float)
        cut = _edges(column)
        places = _bin(column, cut)
        counts = np.bincount(places, minlength=len(cut) + 2).astype(float)
        woe = _evidence(places, target, 60.0, len(cut) + 2)
        known = BY_NAME.get(name)
        woe[:-1] = _monotone(woe[:-1], counts[:-1], known.falls if known else 0)
        bad = np.bincount(places, weights=target, minlength=len(cut) + 2)
        spread = bad / target.sum() - (counts - bad) / (~target).sum()
        if float((spread * woe).sum()) < least_information:
            continue
        names.append(name)
        edges.append(cut)
        evidence.append(woe)
        columns.append(woe[places])
    kept = list(range(len(names)))
    while True:
        matrix = np.column_stack([columns[i] for i in kept]) if kept else np.zeros((len(target), 0))
        intercept, weights = logistic(matrix, target, ridge)
        if not kept or weights.min() >= 0:
            break
        del kept[int(np.argmin(weights))]
    mean = matrix.mean(axis=0)  # contributions are over an average customer
    points = tuple(
        tuple((w * (evidence[i] - m)).tolist()) for i, w, m in zip(kept, weights, mean, strict=True)
    )
    card = Scorecard(
        tuple(names[i] for i in kept),
        tuple(edges[i] for i in kept),
        points,
        float(intercept + (weights * mean).sum()),
    )
    probability = card.score(values).probability
    cuts = tuple(np.unique(np.quantile(probability, np.linspace(0.1, 0.9, 9))).tolist())
    return Scorecard(
        card.names, card.edges, card.points, card.intercept, cuts, tuple(shares(probability, cuts))
    )


# -- validation -----------------------------------------------------------------------------------------------------


def lift(probability: Floats, target: Bools, share: float = 0.1) -> float:
    """How many times more leavers the highest-scored share holds than a share drawn by lot."""
    target = np.asarray(target, bool)
    first = max(round(len(target) * share), 1)
    best = np.argsort(-probability, kind="stable")[:first]
    return float(target[best].mean() / target.mean()) if target.any() else float("nan")


def calibration(probability: Floats, target: Bools, groups: int = 10) -> list[dict[str, float]]:
    """Tenths by score, lowest first: customers, mean predicted probability, share that left."""
    order = np.argsort(probability, kind="stable")
    return [
        {
            "customers": len(part),
            "predicted": float(probability[part].mean()),
            "observed": float(np.asarray(target)[part].mean()),
        }
        for part in np.array_split(order, groups)
        if len(part)
    ]


@dataclass(frozen=True)
class Windows:
    """Month axis positions: `train` observation month-ends, and the later one to validate on. What came of the
    training months was known when the validation month ended."""

    train: tuple[int, ...]
    validate: int


def windows(months: int, most: int = 6) -> Windows | None:
    """The windows for so many month-ends; None when there are too few."""
    if months < MONTHS_NEEDED:
        return None
    last = months - 1 - AHEAD
    first = max(BACK, last - AHEAD - most + 1)
    return Windows(tuple(range(first, last - AHEAD + 1)), last)
