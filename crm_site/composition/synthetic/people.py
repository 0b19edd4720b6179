"""Names of people and companies from frequency tables and a small grammar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crm_site.composition.synthetic import words


class Names:
    """Draws names from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.surnames = [s.rstrip("0123456789") for s in words.SURNAMES]
        counts = np.array([float(s[len(n) :]) for s, n in zip(words.SURNAMES, self.surnames, strict=True)])
        self.shares = counts / counts.sum()

    def people(
        self, sex: NDArray[np.str_], births: NDArray[np.int64], family: NDArray[np.int64] | None = None
    ) -> list[str]:
        """Family name + given name. `births` are years; `family` fixes the family name by its position."""
        n = len(sex)
        drawn = self.rng.choice(len(self.surnames), size=n, p=self.shares)
        chosen = drawn if family is None else np.where(family >= 0, family, drawn)
        first, second = self.rng.integers(0, 20, n), self.rng.integers(0, 20, n)
        single = self.rng.random(n) < np.where(births >= 1975, 0.16, 0.08)
        age = np.select([births < 1975, births < 1995], [0, 1], 2)
        names = []
        for i, f, g, one, who, old in zip(
            chosen.tolist(), first.tolist(), second.tolist(), single.tolist(), sex.tolist(),
            age.tolist(), strict=True,
        ):  # fmt: skip
            a, b = words.GIVEN[who, old]
            names.append(self.surnames[i] + (b[g] if one else a[f] + b[g]))
        return names

    def companies(self, trades: NDArray[np.int64]) -> list[str]:
        """Place + trade name + line of business + form; `trades` are positions in words.INDUSTRIES."""
        n = len(trades)
        weights = np.array([w for _form, w in words.COMPANY_FORMS], dtype=float)
        forms = self.rng.choice(len(weights), size=n, p=weights / weights.sum())
        first = self.rng.integers(0, len(words.TRADE_FIRST), n)
        last = self.rng.integers(0, len(words.TRADE_LAST), n)
        third = self.rng.random(n) < 0.12
        where = self.rng.random(n)
        names = []
        for t, f, a, b, long, w in zip(
            trades.tolist(),
            forms.tolist(),
            first.tolist(),
            last.tolist(),
            third.tolist(),
            where.tolist(),
            strict=True,
        ):
            place = words.CITY if w < 0.45 else words.CITY[:2] if w < 0.75 else ""
            trade = words.TRADE_FIRST[a] + words.TRADE_LAST[b]
            if long:
                trade += words.TRADE_LAST[(a + b) % len(words.TRADE_LAST)]
            names.append(f"{place}{trade}{words.INDUSTRIES[t][1]}{words.COMPANY_FORMS[f][0]}")
        return names
