"""Reads of early warnings and of five-level classes: the list, one warning, a customer's."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from credit_rating.engine.classes import Claim, Level, late_share
from credit_rating.models import (
    ClassReason,
    CreditPolicy,
    Downgrade,
    Impairment,
    LoanClass,
    Signal,
    SignalAct,
    SignalState,
    credit_kind,
)
from credit_rating.policies import SHAPES, Body, classes, read
from credit_rating.policies.classes import CODES, say_rule
from credit_rating.policies.classes import SUBJECT as CLASSES
from credit_rating.policies.warnings import GROUP, SUBJECT, Rule, rules_of, say_contagion
from credit_rating.selectors.external import at_home, debts_in, elsewhere_of
from credit_rating.selectors.policies import Policy, policy_on
from crm_site.accounts.models import Staff
from crm_site.lib import formats
from crm_site.lib.permissions import SUBTREE, Actor, Role, may
from crm_site.work.selectors import possible_owners, staff_with_role
from customers.conditions import sentence
from customers.models import Customer, Loan

PAGE = 50
HANDLE = "warning.handle"
OPEN = Q(state=SignalState.OPEN, ended_on__isnull=True)


@dataclass(frozen=True, slots=True)
class WarningQuery:
    """What the list shows; "" and 0 mean all. `state`: "open" (default), "answered" (the cause lasts), "ended".
    `customer`: a customer's number."""

    state: str = "open"
    level: str = ""
    code: str = ""
    mine: bool = False
    customer: str = ""


@dataclass(frozen=True, slots=True)
class WarningPage:
    """A page, soonest due first, and the key of the next one ("" at the end)."""

    rows: Sequence[Signal]
    following: str


def _chosen(actor: Actor, query: WarningQuery) -> QuerySet[Signal]:
    found = Signal.objects.visible_to(actor)
    if query.state == "open":
        found = found.filter(OPEN)
    elif query.state == "answered":
        found = found.filter(ended_on__isnull=True).exclude(state=SignalState.OPEN)
    elif query.state == "ended":
        found = found.filter(ended_on__isnull=False)
    if query.level:
        found = found.filter(level=query.level)
    if query.code:
        found = found.filter(code=query.code)
    if query.customer:
        found = found.filter(customer__number=query.customer)
    return found.filter(owner__in=actor.portfolio) if query.mine else found


def warning_page(actor: Actor, query: WarningQuery, *, after: str = "") -> WarningPage:
    """The warnings that the actor sees and the query asks for."""
    found = _chosen(actor, query).select_related("customer__home_branch", "owner")
    due, _colon, key = after.partition(":")
    try:
        at, last = dt.date.fromisoformat(due), int(key)
        found = found.filter(due_on__gte=at).filter(Q(due_on__gt=at) | Q(pk__gt=min(last, 2**63 - 1)))
    except ValueError:
        pass  # no key, or a broken one: the first page
    rows = list(found.order_by("due_on", "pk")[: PAGE + 1])
    following = f"{rows[PAGE - 1].due_on}:{rows[PAGE - 1].pk}" if len(rows) > PAGE else ""
    return WarningPage(rows[:PAGE], following)


def warning_count(actor: Actor, query: WarningQuery) -> int:
    return _chosen(actor, query).count()


def codes(actor: Actor) -> list[tuple[str, str]]:
    """(code, own name) of the warnings that the actor sees open."""
    found = Signal.objects.visible_to(actor).filter(OPEN).order_by("code").values_list("code", "name")
    return list(dict(found.distinct()).items())


def seen_warning(actor: Actor, signal_id: int) -> Signal:
    """A warning about a customer whom the actor sees. Raises Signal.DoesNotExist."""
    found = Signal.objects.visible_to(actor).select_related("customer__home_branch", "owner", "policy")
    return found.get(pk=signal_id)


def acts_of(signal: Signal) -> list[SignalAct]:
    """What people did with a warning, newest first."""
    return list(SignalAct.objects.filter(signal=signal).select_related("by", "to"))


def warnings_of(actor: Actor, customer_id: int) -> list[Signal]:
    """A customer's warnings whose cause lasts: open ones first, the gravest first."""
    return warnings_of_many(actor, [customer_id]).get(customer_id, [])


def warnings_of_many(actor: Actor, customers: Collection[int]) -> dict[int, list[Signal]]:
    """customer -> what `warnings_of` finds; without those that have none."""
    found = Signal.objects.visible_to(actor).filter(customer_id__in=customers, ended_on__isnull=True)
    rows = found.select_related("owner")
    told: dict[int, list[Signal]] = defaultdict(list)
    for one in sorted(rows, key=lambda s: (s.state != SignalState.OPEN, s.level != "risk", s.due_on, s.pk)):
        told[one.customer_id].append(one)
    return dict(told)


def may_handle(actor: Actor, signal: Signal) -> bool:
    """Its owner and who covers for him; whoever leads the customer's branch; risk, when it is risk's turn."""
    if not may(actor, HANDLE):
        return False
    if signal.owner_id is not None and signal.owner_id in actor.portfolio:
        return True
    if signal.owner_kind == "risk" and actor.has({Role.RISK}):
        return True
    unit = signal.customer.home_branch
    return unit is not None and any(
        lft <= unit.lft and unit.rgt <= rgt for lft, rgt in actor.intervals(SUBTREE)
    )


def receivers(actor: Actor, day: dt.date) -> list[Staff]:
    """To whom the actor may pass a warning on: whom he may give work to, and risk."""
    risk = staff_with_role(Role.RISK, day)
    found = Staff.objects.filter(Q(pk__in=possible_owners(actor).values("pk")) | Q(pk__in=risk))
    return [person for person in found.order_by("name", "pk") if person.pk != actor.staff_id]


def rules_on(day: dt.date) -> tuple[Policy, list[Rule]]:
    """The policy of early warning in force on a day, and its rules."""
    policy = policy_on(SUBJECT, day)
    return policy, rules_of(policy.body)


def rules_then(versions: Iterable[int]) -> dict[tuple[int, str], Rule]:
    """(version, code) -> the rule, of versions of the policy that warnings were made by."""
    bodies = CreditPolicy.objects.in_bulk(set(versions))
    return {
        (version, rule.code): rule
        for version, found in bodies.items()
        for rule in rules_of(read(SHAPES[SUBJECT], found.body))
    }


def rule_sentence(signal: Signal) -> str:
    """The rule that made a warning, as it was then, in words; "" for one that was raised."""
    if signal.policy_id is None:
        return ""
    version = CreditPolicy.objects.get(pk=signal.policy_id)
    body: Body = read(SHAPES[SUBJECT], version.body)
    if signal.code == GROUP:
        return say_contagion(body)
    rule = next((rule for rule in rules_of(body) if rule.code == signal.code), None)
    return sentence(rule.condition) if rule else ""


def member_names(actor: Actor, signals: Iterable[Signal]) -> dict[int, str]:
    """Names of the group members that warnings are about, and through whom, of those whom the actor sees."""
    told = [s.figures for s in signals if s.code == GROUP]
    members = {figures[key] for figures in told for key in ("member", "via") if key in figures}
    if not members:
        return {}
    return dict(Customer.objects.visible_to(actor).filter(pk__in=members).values_list("pk", "name"))


# -- classes --------------------------------------------------------------------------------------------------------


def class_page(actor: Actor, levels: Collection[int], *, after: int = 0) -> list[LoanClass]:
    """A page of one more than PAGE loans in some classes, with id `after` gone before."""
    rows = _in_classes(actor, levels).select_related(
        "loan__product", "policy", "customer__home_branch", "customer__responsible"
    )
    return list(rows.filter(pk__gt=after).order_by("pk")[: PAGE + 1])


def class_count(actor: Actor, levels: Collection[int]) -> int:
    """How many loans are in some classes."""
    return _in_classes(actor, levels).count()


def _in_classes(actor: Actor, levels: Collection[int]) -> QuerySet[LoanClass]:
    found: QuerySet[LoanClass] = LoanClass.objects.visible_to(actor).filter(until__isnull=True)
    return found.filter(level__in=levels)


def say_class_rule(row: LoanClass, loan: Loan) -> str:
    """By which threshold of its policy a row of class stands where it does, in words."""
    is_card = loan.product is not None and loan.product.family == "card"
    body = read(SHAPES[CLASSES], row.policy.body)
    return say_rule(body, Level(row.level), row.reason, is_card=is_card)


def _day(told: Mapping[str, Any]) -> str:
    return formats.day(dt.date.fromisoformat(told["loss_date"]))


def say_class_figure(row: LoanClass) -> str:
    """The figure that put a row of class where it stands, in words; "" where the columns beside it say it."""
    told = row.figures
    if row.reason == ClassReason.LOSS_SHARE:
        loss, balance = Decimal(told["expected_loss"]), Decimal(told["balance"])
        share = formats.percent(loss / balance, 1)
        words = {"loss": formats.number(loss, 2), "balance": formats.number(balance, 2), "share": share}
        return _("%(loss)s of %(balance)s, %(share)s, on %(day)s") % (words | {"day": _day(told)})
    if row.reason == ClassReason.IMPAIRED:
        return _("stage %(stage)s on %(day)s") % {"stage": told["stage"], "day": _day(told)}
    if row.reason == ClassReason.ALL_BANKS:
        return _("%s of the debts at all banks") % formats.percent(Decimal(told["late_share"]), 1)
    return ""


@dataclass(frozen=True, slots=True)
class AllDebts:
    """A debtor's debts here and by the newest report of other banks, in the bank's currency, and what of them is overdue
    for more than `days`. `share` None: a debt cannot be converted. `most`: the share that the policy bears."""

    report_date: dt.date
    elsewhere: Decimal | None
    late: Decimal
    share: Decimal | None
    days: int
    most: Decimal

    @property
    def is_over(self) -> bool:
        return self.share is not None and self.share > self.most


def all_debts(actor: Actor, customer: Customer, day: dt.date) -> AllDebts | None:
    """What the rule about debts at all banks asks of a customer; None where it does not hold for him, or without a
    report of other banks."""
    body = policy_on(CLASSES, day).body
    report = elsewhere_of(actor, customer, day)
    if credit_kind(customer) not in body.params["non_retail"] or report is None:
        return None
    rules = classes.rules_of(body)
    loans = Loan.objects.visible_to(actor).filter(customer=customer, status="active", outstanding__gt=0)
    claims = [
        Claim(one.days_past_due, at_home(one.outstanding, one.currency, day) or Decimal(0)) for one in loans
    ]
    told = debts_in([row for row, _counts in report.rows], rules.late_days, day)
    own = sum((c.outstanding for c in claims if c.days_past_due > rules.late_days), Decimal(0))
    share = late_share(claims, told, rules)
    return AllDebts(report.report_date, told.total, own + told.late, share, rules.late_days, rules.late_share)


def worst_class(actor: Actor, customer_id: int) -> LoanClass | None:
    """The class of a customer: that of the worst of the loans."""
    found = LoanClass.objects.visible_to(actor).filter(customer_id=customer_id, until__isnull=True)
    return found.order_by("-level", "from_date").first()


def class_badge(actor: Actor, customer_id: int) -> str:
    """The code of a customer's class when it is worse than normal."""
    worst = worst_class(actor, customer_id)
    return CODES[Level(worst.level)] if worst is not None and worst.level > Level.NORMAL else ""


def classes_of(actor: Actor, customer_id: int) -> list[dict[str, Any]]:
    """A customer's loans with the class of each, the downgrade that holds and the classes before, worst first."""
    rows = list(LoanClass.objects.visible_to(actor).filter(customer_id=customer_id).select_related("policy"))
    by_hand = {
        d.loan_id: d
        for d in Downgrade.objects.visible_to(actor)
        .filter(customer_id=customer_id, lifted_at__isnull=True)
        .select_related("made_by")
    }
    now = sorted((r for r in rows if r.until is None), key=lambda r: (-r.level, r.loan_id))
    loans = Loan.objects.select_related("product").in_bulk([r.loan_id for r in now])
    losses = {i.loan_id: i for i in Impairment.objects.filter(loan_id__in=loans)}
    return [
        {
            "loan": loans[r.loan_id],
            "now": r,
            "by_hand": by_hand.get(r.loan_id),
            "loss": losses.get(r.loan_id),
            "history": [h for h in rows if h.loan_id == r.loan_id],
        }
        for r in now
    ]
