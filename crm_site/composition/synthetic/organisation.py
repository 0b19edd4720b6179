"""Head office, branches, sub-branches and the people who work there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from crm_site.composition.synthetic import words
from crm_site.composition.synthetic.people import Names
from crm_site.composition.synthetic.plan import Plan

GRADES = ("senior", "level_1", "level_2", "level_3", "level_4", "trainee")
_GRADE_SHARES = (0.07, 0.12, 0.18, 0.23, 0.25, 0.15)
# One row each: role, how many, line department.
HEADQUARTERS = (
    ("line_department", 1, "corporate"), ("line_department", 1, "personal"), ("line_department", 1, "rural"),
    ("credit_reviewer", 2, ""), ("committee_member", 5, ""), ("president", 1, ""), ("risk", 2, ""),
    ("marketing", 1, ""), ("service_quality", 1, ""), ("auditor", 1, ""),
)  # fmt: skip


@dataclass(frozen=True)
class Unit:
    code: str
    name: str
    kind: str
    parent: int
    region: str
    weight: float


@dataclass(frozen=True)
class Person:
    number: str
    name: str
    unit: int
    role: str
    grade: str = ""
    line_department: str = ""


@dataclass
class Organisation:
    """Units (0 is the head office) and people; `managers`/`tellers`: per unit, positions in `people`."""

    units: list[Unit]
    people: list[Person] = field(default_factory=list)
    managers: list[list[int]] = field(default_factory=list)
    tellers: list[list[int]] = field(default_factory=list)

    @property
    def weights(self) -> np.ndarray:
        raw = np.array([u.weight for u in self.units])
        return raw / raw.sum()


def _towns(rng: np.random.Generator, count: int) -> list[str]:
    every = [a + b for a in words.TOWN_FIRST for b in words.TOWN_LAST]
    return [every[i] for i in rng.permutation(len(every))[:count]]


def _units(rng: np.random.Generator, plan: Plan) -> list[Unit]:
    units = [Unit("HO", "总行", "head_office", -1, words.PROVINCE + words.CITY, 0.0)]
    towns = _towns(rng, plan.branches * 4)
    for b in range(plan.branches):
        town, size = towns[b], float(rng.lognormal(0, 0.5))
        region = f"{words.PROVINCE}{words.CITY}{town}镇"
        subs = 0 if plan.branches < 4 else int(rng.choice(4, p=(0.35, 0.35, 0.2, 0.1)))
        units.append(Unit(f"B{b + 1:03d}", f"{town}支行", "branch", 0, region, size))
        here = len(units) - 1
        for s in range(subs):
            near = towns[plan.branches + 3 * b + s]
            region = f"{words.PROVINCE}{words.CITY}{near}镇"
            units.append(
                Unit(f"B{b + 1:03d}-{s + 1}", f"{near}分理处", "sub_branch", here, region, size * 0.45)
            )
    return units


def _spread(total: int, weights: np.ndarray) -> list[int]:
    """At least one for every unit that has customers, the rest by weight (largest remainders)."""
    live = weights > 0
    counts = live.astype(int)
    rest = max(total - int(counts.sum()), 0)
    share = weights * rest
    counts += np.floor(share).astype(int)
    left = rest - int(np.floor(share).sum())
    counts[np.argsort(np.floor(share) - share)[:left]] += 1
    return counts.tolist()


def make_organisation(plan: Plan) -> Organisation:
    """The organisation of a plan; people without the administrators, who found the bank."""
    rng = np.random.default_rng([plan.seed, 1])
    org = Organisation(_units(rng, plan))
    names = Names(rng)
    managers, tellers = _spread(plan.managers, org.weights), _spread(plan.tellers, org.weights)
    rows: list[tuple[int, str, str, str]] = []
    for role, count, line in HEADQUARTERS:
        rows += [(0, role, "", line)] * count
    grades = iter(_grades(rng, sum(managers)))
    for unit in range(1, len(org.units)):
        rows.append((unit, "branch_manager", "", ""))
        rows += [(unit, "relationship_manager", next(grades), "") for _ in range(managers[unit])]
        rows += [(unit, "teller", "", "")] * tellers[unit]
    sex = np.where(rng.random(len(rows)) < 0.5, "M", "F")
    births = rng.integers(1966, 2002, len(rows))
    called = names.people(sex, births)
    org.managers, org.tellers = [[] for _ in org.units], [[] for _ in org.units]
    for place, ((unit, role, grade, line), name) in enumerate(zip(rows, called, strict=True)):
        org.people.append(Person(f"{100001 + place}", name, unit, role, grade, line))
        if role == "relationship_manager":
            org.managers[unit].append(place)
        elif role == "teller":
            org.tellers[unit].append(place)
    return org


def _grades(rng: np.random.Generator, count: int) -> list[str]:
    """Grades of so many managers, each grade at least once where there are enough."""
    first = list(GRADES[:count])
    rest = rng.choice(len(GRADES), size=max(count - len(first), 0), p=_GRADE_SHARES)
    every = np.array(first + [GRADES[i] for i in rest])
    return every[rng.permutation(count)].tolist()
