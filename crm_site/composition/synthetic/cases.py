"""Approval cases of a synthetic bank at every stage of their way, so many that inboxes are as full as a bank's.

What decides is asked of the rooms themselves, case by case (dossier, route, tasks, the line an approval opens); rows go
in stage by stage for all cases at once, so that each guard of the database sees every step.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from credit_rating.models import (
    CaseCondition,
    CaseDossier,
    CaseMaker,
    CaseSeat,
    CaseSeen,
    CaseStatus,
    CreditCase,
    Opinion,
    OpinionPart,
    SeatKind,
    StaffRelation,
    Verdict,
)
from credit_rating.models.calculations import content_hash
from credit_rating.selectors.cases import (
    Dossier,
    approving,
    authority_policy,
    broken_by,
    dossier_of,
    role_holders,
    seen_content,
)
from credit_rating.services.cases.flow import carry_out, case_tasks
from crm_site.composition.synthetic.asked import ENDED_AGES, Begun, at_hour, begin
from crm_site.composition.synthetic.lines import PRODUCTS
from crm_site.composition.synthetic.raters import Raters
from crm_site.lib.permissions import Actor, Grant, Role
from crm_site.lib.tenancy import require_bank
from crm_site.work.services import put_tasks
from customers.models import Customer, Product

STAGES = ("branch", "headquarters", "committee", "president")
# How many of 100 cases have come how far; a stage's name: they wait there.
SHARES = {
    "draft": 8, "branch": 22, "headquarters": 7, "committee": 3, "president": 3, "returned": 5, "approved": 34,
    "rejected": 10, "withdrawn": 5, "expired": 3,
}  # fmt: skip
ENDED = ("approved", "rejected", "withdrawn", "expired")
SLOWEST = 3  # days that a stage takes at most
# At a million customers: thirty a reviewer. And never fewer than so many: nobody who decides has an empty inbox.
MOST_WAITING = {"headquarters": 40, "committee": 30, "president": 30}
LEAST_WAITING = {"headquarters": 4, "committee": 3, "president": 2}
LEAST_CASES = 36
AGREES = (
    "经营正常，用途合理，还款来源可覆盖。",
    "资料齐全，风险可控，同意。",
    "授信额度与实际需要匹配，同意。",
)
ALSO = ("结算归行率半年内不低于 65%", "补充存货盘点表并按季更新", "法定代表人提供连带责任保证")
REJECTS = ("负债偏高，第一还款来源不足。", "用途与经营情况不符，不同意。", "收入来源单一，现金流难以覆盖。")
RETURNS = ("请补充最近一期报表及纳税证明。", "请核实其他银行负债并重新提交。")
GROUND = "系本行主要客户，超限部分已列压降计划，追加担保并限期回落。"
EVIDENCE = "已核验原件，影像已上传"


@dataclass
class _Way(Begun):
    """How far a case is to come: its goal, and how many stages agree to it. `days`: when each stage was entered, and last
    when the case ended (while it waits: the day it was handed over)."""

    dossier: Dossier = field(init=False)
    seen: Any = None
    seen_hash: str = ""
    broken_caps: list[dict[str, str]] = field(default_factory=list)
    goal: str = ""
    agreed: int = 0
    days: list[dt.date] = field(default_factory=list)

    @property
    def route(self) -> tuple[str, ...]:
        return self.dossier.route.stages


def make_cases(*, date: dt.date, now: dt.datetime, seed: int) -> int:
    """Give the active bank, whose customers are rated, its cases; returns how many. Does nothing where there are any."""
    products = {product.code: product for product in Product.objects.filter(code__in=PRODUCTS.values())}
    if CreditCase.objects.exists() or not products:
        return 0
    customers = Customer.objects.filter(is_prospect=False).count()
    wanted = min(2_000, max(LEAST_CASES, customers // 1_000))
    people, stage_days = _People(date), _stage_days(date)
    ways = _begin(begin(wanted, products, date, seed), date)
    _set_goals(ways, people, min(1.0, customers / 1_000_000), stage_days)
    for way in ways:
        _date(way, date, stage_days)
    submitted = [way for way in ways if way.goal != "draft"]
    _submit(submitted, stage_days)
    for step in range(len(STAGES)):
        _step(
            [way for way in submitted if step <= way.agreed and step < len(way.route)],
            step,
            people,
            stage_days,
        )
    for way in submitted:
        if way.goal == "approved":
            _carry_out(way)
    waiting = CreditCase.objects.filter(status__in=(*STAGES, "returned")).select_related(
        "customer__home_branch"
    )
    rows = [row for case in waiting for row in case_tasks(case, date)]
    put_tasks(require_bank(), rows, sources=["case:"], as_of=date, now=now)
    return len(ways)


def _stage_days(date: dt.date) -> dict[str, int]:
    """How many days each stage has, and a case in all ("case")."""
    params = authority_policy(date)[1].params
    return {name: int(params[f"{name}_days"]) for name in (*STAGES, "case")}


def _begin(begun: Sequence[Begun], date: dt.date) -> list[_Way]:
    """Drafts, numbered in the order of days; and the dossier that each makes."""
    ways = [_Way(one.case, one.dice, one.age, one.shown, one.beside) for one in begun]
    newest: dict[int, int] = {}
    for way in ways:
        newest[way.case.year] = way.case.serial = newest.get(way.case.year, 0) + 1
    CreditCase.objects.bulk_create([way.case for way in ways], batch_size=500)
    for way in ways:
        way.case.round = 1
        way.dossier = dossier_of(way.case, date, date)
        way.case.rating_id = way.dossier.rating_id
        way.seen = seen_content(way.case, date)
        way.seen_hash = content_hash(way.seen)
        if way.dossier.content["authority"].get("breaks_cap"):
            way.broken_caps = [use.as_json for use in broken_by(way.case, date)]
    return ways


# -- how far it comes -----------------------------------------------------------------------------------------------


class _People:
    """Who decides on a day: managers of branches, reviewers, the committee, presidents; relatives take no part."""

    def __init__(self, day: dt.date) -> None:
        self._raters = Raters(day)
        self._of = {
            "headquarters": role_holders(Role.CREDIT_REVIEWER, day),
            "committee": role_holders(Role.COMMITTEE_MEMBER, day),
            "president": role_holders(Role.PRESIDENT, day),
        }
        self._relatives = set(StaffRelation.objects.values_list("staff_id", flat=True))

    def able(self, way: _Way, stage: str) -> list[int]:
        """Who may speak of a case at a stage: none of its makers, nor anybody with a relative among customers."""
        customer = way.case.customer
        barred = {staff for staff, _part in way.dossier.makers} | self._relatives | {customer.responsible_id}
        everybody = (
            self._raters.checkers(customer.home_branch_id or 0) if stage == "branch" else self._of[stage]
        )
        return [staff for staff in everybody if staff not in barred]

    def speak(self, way: _Way, stages: Sequence[str]) -> bool:
        """Whether there is somebody to speak at each of some stages."""
        return all(
            len(self.able(way, stage)) >= (way.dossier.quorum if stage == "committee" else 1)
            for stage in stages
        )


def _set_goals(ways: Sequence[_Way], people: _People, part: float, stage_days: Mapping[str, int]) -> None:
    """Give each case the goal that is furthest behind its share of those its age, its route and the people allow."""
    wanted = {goal: share * len(ways) / 100 for goal, share in SHARES.items()}
    for goal, most in MOST_WAITING.items():
        wanted[goal] = max(LEAST_WAITING[goal], min(wanted[goal], most * part))
    given = dict.fromkeys(SHARES, 0)
    for way in ways:
        # What it is shown for, what few routes reach, then whatever is furthest behind.
        missing = {goal for goal in ("committee", "president") if given[goal] < LEAST_WAITING[goal]}
        order = {
            goal: (goal != way.shown, goal not in missing, given[goal] / wanted[goal]) for goal in SHARES
        }
        for goal in sorted(SHARES, key=order.__getitem__):
            agreed = _agreed(way, goal, stage_days)
            if agreed is not None and people.speak(way, way.route[: agreed + 1]):
                way.goal, way.agreed = goal, agreed
                break
        else:
            way.goal = "draft" if way.age < ENDED_AGES[0] else "withdrawn"
        given[way.goal] += 1


def _agreed(way: _Way, goal: str, stage_days: Mapping[str, int]) -> int | None:
    """How many stages agree before the goal is reached; None: not on this route, or not at this age."""
    if (goal in ENDED) != (way.age >= ENDED_AGES[0]):
        return None
    if goal in STAGES:
        step = way.route.index(goal) if goal in way.route else -1
        return step if step >= 0 and way.age <= stage_days[goal] + step * SLOWEST else None
    if goal in ("draft", "approved"):
        return len(way.route) if goal == "approved" else 0
    return (
        way.dice.randrange(len(way.route))
        if goal != "returned"
        else min(way.dice.randrange(len(way.route)), way.age)
    )


def _date(way: _Way, date: dt.date, stage_days: Mapping[str, int]) -> None:
    """When each stage was entered. What waits is within its stage's days; what has ended did so when its stage spoke,
    or the day after its time was up."""
    if way.goal == "draft":
        return
    dice, case = way.dice, way.case
    last = min(way.agreed, len(way.route) - 1)
    has_time = stage_days[way.route[last]]
    if way.goal in ENDED:
        took = [dice.randrange(1, SLOWEST + 1) for _step in range(last)]
        waited = has_time + 1 if way.goal == "expired" else dice.randrange(1, SLOWEST + 1)
    else:
        least = max(0, way.age - has_time)
        total = dice.randrange(least, max(least, min(SLOWEST * last, way.age)) + 1)
        took = [total // last + (step < total % last) for step in range(last)] if last else []
        waited = 0 if way.goal in STAGES else min(way.age - sum(took), has_time)
    way.days = [date - dt.timedelta(days=way.age)]
    for days in (*took, waited):
        way.days.append(way.days[-1] + dt.timedelta(days=days))
    case.as_of = way.days[0]
    case.expires_on = way.days[0] + dt.timedelta(days=stage_days["case"])


# -- into the database, step by step --------------------------------------------------------------------------------

_BOUND = (
    "status", "submitted_at", "stage_since", "deadline", "expires_on", "route", "route_why", "quorum", "majority_pct",
    "as_of", "dossier_hash", "round", "rating_id", "kin_steps",
)  # fmt: skip


def _submit(ways: Sequence[_Way], stage_days: Mapping[str, int]) -> None:
    """Bind each case to its dossier and hand it to the first stage of its route."""
    dossiers, makers, seen = [], [], []
    for way in ways:
        case, dossier = way.case, way.dossier
        at = at_hour(way.days[0], 2, way.dice)
        case.round, case.submitted_at, case.dossier_hash = 1, at, dossier.hash
        case.route, case.route_why = list(way.route), dossier.route.why
        case.quorum, case.majority_pct, case.kin_steps = (
            dossier.quorum,
            dossier.majority_pct,
            dossier.kin_steps,
        )
        _enter(way, 0, stage_days)
        dossiers.append(CaseDossier(case=case, hash=case.dossier_hash, content=dossier.content, at=at))
        seen.append(CaseSeen(case=case, hash=way.seen_hash, content=way.seen, at=at))
        makers += [CaseMaker(case=case, staff_id=staff, part=part) for staff, part in dossier.makers]
    CaseDossier.objects.bulk_create(dossiers, batch_size=500)
    CaseSeen.objects.bulk_create(seen, batch_size=500)
    CaseMaker.objects.bulk_create(makers, batch_size=1000)
    CreditCase.objects.bulk_update([way.case for way in ways], _BOUND, batch_size=200)


def _enter(way: _Way, step: int, stage_days: Mapping[str, int]) -> None:
    case, stage = way.case, way.route[step]
    case.status, case.stage_since = CaseStatus(stage), at_hour(way.days[step], 3, way.dice)
    until = way.days[step] + dt.timedelta(days=stage_days[stage])
    case.deadline = min(until, case.expires_on) if case.expires_on else until


def _step(ways: Sequence[_Way], step: int, people: _People, stage_days: Mapping[str, int]) -> None:
    """What a stage says of the cases that have come to it, and where they go from there."""
    CaseSeat.objects.bulk_create(
        [
            CaseSeat(case=way.case, round=1, stage="committee", staff_id=staff, kind=SeatKind.MEMBER, at=at_hour(way.days[step], 4, way.dice))
            for way in ways if way.route[step] == "committee" for staff in people.able(way, "committee")
        ], batch_size=1000,
    )  # fmt: skip
    said = [(way, opinion) for way in ways for opinion in _opinions(way, step, people)]
    Opinion.objects.bulk_create([opinion for _way, opinion in said], batch_size=500)
    CaseCondition.objects.bulk_create(
        [_condition(way, opinion) for way, opinion in said if opinion.verdict == Verdict.CONDITIONAL],
        batch_size=500,
    )
    moved = [way for way in ways if _move(way, step, stage_days)]
    CreditCase.objects.bulk_update(
        [way.case for way in moved],
        ("status", "stage_since", "deadline", "closed_at", "seen_hash"),
        batch_size=200,
    )


def _opinions(way: _Way, step: int, people: _People) -> Iterator[Opinion]:
    stage, dice = way.route[step], way.dice
    agrees = step < way.agreed
    if not agrees and way.goal not in ("returned", "rejected", "committee"):
        return
    able = people.able(way, stage)
    day = way.days[step + 1]
    if stage != "committee":
        able, part = [dice.choice(able)], OpinionPart.DECISION
        verdict = Verdict.RETURN if way.goal == "returned" else Verdict.REJECT
        if agrees:
            verdict = (
                Verdict.CONDITIONAL if stage == "headquarters" and dice.random() < 0.4 else Verdict.APPROVE
            )
        verdicts = [verdict]
    else:
        part = OpinionPart.VOTE
        against = {"returned": Verdict.RETURN, "rejected": Verdict.REJECT}.get(way.goal, Verdict.APPROVE)
        verdicts = [Verdict.APPROVE if agrees else against] * len(able)
        if agrees and len(able) > 3 and dice.random() < 0.3:
            verdicts[-1] = Verdict.ABSTAIN
        if not agrees and way.goal == "committee":  # the votes that are in so far; the first member's is not
            able, verdicts = able[::-1], verdicts[: dice.randrange(min(3, way.dossier.quorum))]
    for staff, verdict in zip(able, verdicts, strict=False):
        words = REJECTS if verdict == Verdict.REJECT else RETURNS if verdict == Verdict.RETURN else AGREES
        broken = way.broken_caps if approving(verdict) else []
        yield Opinion(
            case=way.case, round=1, stage=stage, part=part, staff_id=staff, verdict=verdict, text=dice.choice(words),
            broken_caps=broken, cap_ground=GROUND if broken else "", dossier_hash=way.case.dossier_hash,
            seen_hash=way.seen_hash, at=at_hour(day, 6, dice), day=day,
        )  # fmt: skip


def _condition(way: _Way, opinion: Opinion) -> CaseCondition:
    """A condition precedent: met where the approval is older than three weeks, evidenced by the maker."""
    found = CaseCondition(case=way.case, opinion=opinion, text=way.dice.choice(ALSO))
    if way.goal == "approved" and way.dice.random() < 0.7:
        found.evidence, found.evidenced_by_id, found.evidenced_at = (
            EVIDENCE,
            way.case.prepared_by_id,
            opinion.at,
        )
        found.accepted_by_id, found.accepted_at = opinion.staff_id, opinion.at
    return found


def _move(way: _Way, step: int, stage_days: Mapping[str, int]) -> bool:
    """Take the case on from a stage; False: it waits there."""
    case = way.case
    if step < way.agreed and step + 1 < len(way.route):
        _enter(way, step + 1, stage_days)
        return True
    if way.goal in STAGES:
        return False
    case.status = CaseStatus(way.goal)
    if way.goal == "returned":
        case.stage_since, case.deadline = at_hour(way.days[-1], 6, way.dice), None
    else:
        case.closed_at, case.seen_hash = at_hour(way.days[-1], 6, way.dice), way.seen_hash
    return True


def _carry_out(way: _Way) -> None:
    """An approval opens its line or changes the one it is about, on its day, by its last stage."""
    role = {
        "branch": Role.BRANCH_MANAGER,
        "headquarters": Role.CREDIT_REVIEWER,
        "committee": Role.COMMITTEE_MEMBER,
    }
    grant = Grant(role.get(way.route[-1], Role.PRESIDENT), 0, 2_147_483_647)
    carry_out(
        Actor(require_bank(), "make_bank", grants=(grant,)),
        way.case,
        at_hour(way.days[-1], 7, way.dice),
        way.days[-1],
    )
