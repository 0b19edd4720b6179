"""Two steps of the night: `classes` (five-level classification) and `warnings` (early warning). Both safe to repeat.

classes   reads Loan (arrears), LoanBalance, Impairment, Downgrade, ExternalExposure, the policy
          writes LoanClass: a row for a change
warnings  reads the facts that the policy's rules name               writes Signal, Task
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy

from credit_rating.engine.classes import NOTHING, Claim, Level, classify
from credit_rating.models import Signal, SignalAct, SignalActKind, SignalState, credit_kind
from credit_rating.policies.classes import SUBJECT, rules_of
from credit_rating.policies.warnings import GROUP_RULE, Rule
from credit_rating.selectors.external import debts_of_many, told_bad
from credit_rating.selectors.policies import Policy, policy_on
from credit_rating.selectors.warnings import OPEN, rules_on, rules_then
from credit_rating.services.policies import ensure_default_policies
from credit_rating.services.warnings import REASON, SOURCE, URGENCY, owner_of, risk_people
from credit_rating.warning_rules import debtors_in, signalled
from credit_rating.warning_words import say, task_params
from crm_site.lib.money import from_minor
from crm_site.lib.postgres.statistics import analyze
from crm_site.lib.registry import Counts, RunContext, Step, WorkReason, add_step, add_work_reason
from crm_site.work.models import Task, TaskStatus
from crm_site.work.services import TaskRow, put_tasks
from crm_site.work.urgency import pressing
from customers.models import Customer, Standing
from customers.nightly import customer_ranges

# -- classes --------------------------------------------------------------------------------------------------------

# The claims of a range: as they stand, in the bank's currency, with the class so far and what is set by hand. Left out are
# debtors of whom nothing calls for another class: all claims normal so far, none overdue by more than the first step of
# the ladders, none set by hand, none impaired or with a great expected loss, no bad debt told of at another bank.
CLAIMS = """
WITH claims AS MATERIALIZED (
    SELECT l.bank_id, l.customer_id, l.id, l.days_past_due, l.overdue_amount, l.currency, l.outstanding, l.product_id,
        d.level AS by_hand, k.level, k.reason, k.id AS class_id, i.stage, i.balance, i.expected_loss, i.report_date,
        bool_and(l.days_past_due <= %(grace)s AND d.id IS NULL AND k.level IS NOT DISTINCT FROM 1 AND k.reason = 'none'
            AND (i.id IS NULL OR i.stage <> '3' AND i.expected_loss < %(loss_share)s * i.balance)
            AND l.customer_id <> ALL(%(told_bad)s::bigint[])) OVER (PARTITION BY l.customer_id) AS stays
    FROM customers_loan l
    LEFT JOIN credit_rating_downgrade d ON d.bank_id = %(bank)s AND d.loan_id = l.id AND d.lifted_at IS NULL
    LEFT JOIN credit_rating_loanclass k ON k.bank_id = %(bank)s AND k.loan_id = l.id AND k.until IS NULL
    LEFT JOIN credit_rating_impairment i ON i.bank_id = %(bank)s AND i.loan_id = l.id AND i.report_date <= %(day)s
    WHERE l.bank_id = %(bank)s AND l.customer_id BETWEEN %(lo)s AND %(hi)s AND l.status = 'active' AND l.outstanding > 0
)
SELECT l.customer_id, c.kind, c.size, l.id, l.days_past_due,
    CASE WHEN l.currency = b.currency THEN l.outstanding ELSE coalesce(round(l.outstanding * (
        SELECT r.rate FROM customers_fxrate r WHERE r.bank_id = l.bank_id AND r.currency = l.currency
            AND r.rate_date <= %(day)s ORDER BY r.rate_date DESC LIMIT 1)), 0) END::bigint,
    coalesce(p.family = 'card', false), coalesce(l.by_hand, 1), coalesce(l.level, 0), coalesce(l.reason, ''), l.class_id,
    CASE WHEN l.level < 3 THEN NULL WHEN l.overdue_amount > 0 THEN %(day)s ELSE (
        SELECT min(n.date) FROM customers_loanbalance n WHERE n.bank_id = l.bank_id AND n.loan_id = l.id
            AND n.date <= %(day)s AND n.date > (
                SELECT max(o.date) FROM customers_loanbalance o WHERE o.bank_id = l.bank_id AND o.loan_id = l.id
                    AND o.date <= %(day)s AND o.overdue_amount > 0)) END,
    l.stage, l.balance, l.expected_loss, l.report_date
FROM claims l
JOIN customers_customer c ON c.bank_id = %(bank)s AND c.id = l.customer_id
JOIN accounts_bank b ON b.id = l.bank_id
LEFT JOIN customers_product p ON p.bank_id = %(bank)s AND p.id = l.product_id
WHERE l.stays IS NOT TRUE
ORDER BY l.customer_id, l.id
"""
# What is repaid or written off has no class any more. A row of this very day leaves no trace.
_GONE = """
WITH gone AS (
    SELECT k.id, k.from_date FROM credit_rating_loanclass k
    JOIN customers_loan l ON l.bank_id = k.bank_id AND l.id = k.loan_id
    WHERE k.bank_id = %(bank)s AND k.customer_id BETWEEN %(lo)s AND %(hi)s AND k.until IS NULL
      AND (l.status <> 'active' OR l.outstanding <= 0)
), ended AS (
    UPDATE credit_rating_loanclass k SET until = %(day)s, run_id = %(run)s FROM gone g
    WHERE k.bank_id = %(bank)s AND k.id = g.id AND g.from_date < %(day)s RETURNING 1
), undone AS (
    DELETE FROM credit_rating_loanclass k USING gone g
    WHERE k.bank_id = %(bank)s AND k.id = g.id AND g.from_date >= %(day)s RETURNING 1
)
SELECT (SELECT count(*) FROM ended) + (SELECT count(*) FROM undone)
"""
_END = """
UPDATE credit_rating_loanclass SET until = %(day)s
WHERE bank_id = %(bank)s AND id = ANY(%(ended)s::bigint[]) AND from_date < %(day)s
"""
_WRITE = """
INSERT INTO credit_rating_loanclass (bank_id, loan_id, customer_id, level, before, reason, figures, from_date, policy_id,
    run_id)
SELECT %(bank)s, loan_id, customer_id, level, before, reason, figures::jsonb, %(day)s, %(policy)s, %(run)s
FROM unnest(%(loans)s::bigint[], %(customers)s::bigint[], %(levels)s::int[], %(befores)s::int[], %(reasons)s::text[],
    %(figures)s::text[]) AS n(loan_id, customer_id, level, before, reason, figures)
ON CONFLICT (bank_id, loan_id, from_date) DO UPDATE SET level = excluded.level, reason = excluded.reason,
    figures = excluded.figures, policy_id = excluded.policy_id, run_id = excluded.run_id, until = NULL
"""


def classes(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Class the loans of a range of customers. A night for a past date leaves what stands alone."""
    if not context.is_newest:
        return Counts()
    policy = policy_on(SUBJECT, context.business_date)
    rules, span = rules_of(policy.body), (int(chunk["lo"]), int(chunk["hi"]))
    values: dict[str, Any] = {
        "bank": context.bank_id, "day": context.business_date, "run": context.run_id, "lo": span[0], "hi": span[1],
        "grace": min(days for ladder in rules.ladders.values() for days in ladder.values()),
        "loss_share": min(rules.losses.values()), "told_bad": told_bad(span, rules.late_days),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_GONE, values)
        gone = int((cursor.fetchone() or (0,))[0])
        cursor.execute(CLAIMS, values)
        rows = cursor.fetchall()
        changed = list(_changed(rows, policy, context.business_date))
        if changed:
            loans, customers, levels, befores, reasons, figures, ended = zip(*changed, strict=True)
            values |= {
                "policy": policy.version.pk, "loans": list(loans), "customers": list(customers), "levels": list(levels),
                "befores": list(befores), "reasons": list(reasons), "figures": list(figures),
                "ended": [key for key in ended if key],
            }  # fmt: skip
            cursor.execute(_END, values)
            cursor.execute(_WRITE, values)
    return Counts(int(chunk["rows"]), len(changed) + gone)


def finish_classes(context: RunContext) -> None:
    """Without statistics the facts about classes would read every class of the bank for each debtor (100,000 customers: 22 s for 2)."""
    if context.is_newest:
        analyze(["credit_rating_loanclass"])


def _changed(rows: list[tuple[Any, ...]], policy: Policy, day: dt.date) -> Iterator[tuple[Any, ...]]:
    """What is to be written of the claims whose class or its reason is another than so far."""
    rules, non_retail = rules_of(policy.body), policy.body.params["non_retail"]
    debtors: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        debtors[row[0]].append(row)
    kinds = {one: credit_kind(Customer(kind=rows[0][1], size=rows[0][2])) for one, rows in debtors.items()}
    asked = [one for one, kind in kinds.items() if kind in non_retail]
    elsewhere = debts_of_many(asked, rules.late_days, day)
    for customer, claims in debtors.items():
        debts = elsewhere.get(customer, NOTHING)
        verdicts = classify(
            [_claim(row) for row in claims], rules, is_retail=kinds[customer] not in non_retail, day=day, elsewhere=debts
        )  # fmt: skip
        for row, verdict in zip(claims, verdicts, strict=True):
            loan, days, amount, before, reason, key = row[3], row[4], row[5], row[8], row[9], row[10]
            if (verdict.level, verdict.reason) == (before, reason):
                continue
            figures = {
                "days_past_due": days, "outstanding": str(from_minor(amount)), "share": f"{verdict.share:.4f}",
                "set_by_hand": row[7] if row[7] > Level.NORMAL else None,
                "clean_since": row[11].isoformat() if row[11] else None,
            } | _told_loss(row)  # fmt: skip
            if customer in elsewhere and verdict.late_share is not None:
                figures |= {"late_share": f"{verdict.late_share:.6f}"}
            said = json.dumps(figures)
            yield loan, customer, int(verdict.level), before, verdict.reason, said, key


def _claim(row: tuple[Any, ...]) -> Claim:
    return Claim(
        days_past_due=row[4], outstanding=from_minor(row[5]), asset="card" if row[6] else "loan", by_hand=Level(row[7]),
        before=Level(row[8] or Level.NORMAL), clean_since=row[11], is_impaired=row[12] == "3",
        balance=Decimal(row[13] or 0), expected_loss=None if row[14] is None else Decimal(row[14]),
    )  # fmt: skip


def _told_loss(row: tuple[Any, ...]) -> dict[str, str]:
    """What the impairment system told of a claim, for the record; nothing where it told nothing."""
    stage, balance, loss, told_on = row[12:16]
    if stage is None:
        return {}
    return {
        "stage": stage, "balance": str(from_minor(balance)), "expected_loss": str(from_minor(loss)),
        "loss_date": told_on.isoformat(),
    }  # fmt: skip


# -- early warning --------------------------------------------------------------------------------------------------


def warnings(context: RunContext, chunk: Mapping[str, Any]) -> Counts:
    """Open, end and hand out the warnings about a range of customers. A night for a past date leaves them alone."""
    if not context.is_newest:
        return Counts()
    day, span = context.business_date, (int(chunk["lo"]), int(chunk["hi"]))
    policy, rules = rules_on(day)
    _take_over_answers(span)
    debtors = debtors_in(context.bank_id, *span)
    found = signalled(context.bank_id, policy.body, debtors, day)
    rules = [*rules, GROUP_RULE]
    changed = _end(found, day, span) + _open(context, policy, rules, found, span) + _follow_managers(span)
    counts = _put_tasks(context, span)
    return Counts(len(debtors), changed + counts)


def _live(span: tuple[int, int]) -> Any:
    return Signal.objects.filter(customer_id__gte=span[0], customer_id__lte=span[1], ended_on__isnull=True)


def _take_over_answers(span: tuple[int, int]) -> None:
    """A warning whose task was ticked off on the worklist is dealt with, by what was written there."""
    waiting = _live(span).filter(state=SignalState.OPEN)
    keys = {f"{SOURCE}{key}": key for key in waiting.values_list("pk", flat=True)}
    done = list(Task.objects.filter(source_key__in=list(keys), status=TaskStatus.DONE))
    signals = waiting.in_bulk([keys[task.source_key] for task in done])
    for task in done:
        signal = signals[keys[task.source_key]]
        signal.state = SignalState.DEALT
        if signal.is_raised and task.closed_at is not None:
            signal.ended_on = timezone.localdate(task.closed_at)
        signal.save(update_fields=["state", "ended_on"])
        SignalAct.objects.create(
            signal=signal, kind=SignalActKind.DEALT, note=task.result, by_id=task.closed_by_id,
            at=task.closed_at or timezone.now(),
        )  # fmt: skip


def _end(found: Mapping[str, Mapping[int, Any]], day: dt.date, span: tuple[int, int]) -> int:
    """Warnings whose cause is no more, or whose rule is gone, end."""
    ended = [
        key
        for key, code, customer in _live(span)
        .filter(is_raised=False)
        .values_list("pk", "code", "customer_id")
        if customer not in found.get(code, {})
    ]
    return int(Signal.objects.filter(pk__in=ended).update(ended_on=day)) if ended else 0


def _open(
    context: RunContext,
    policy: Policy,
    rules: list[Rule],
    found: Mapping[str, Mapping[int, Mapping[str, Any]]],
    span: tuple[int, int],
) -> int:
    """A warning for each debtor and rule that has none."""
    live = set(_live(span).values_list("code", "customer_id"))
    new = [
        (rule, customer)
        for rule in rules
        for customer in found[rule.code]
        if (rule.code, customer) not in live
    ]
    customers = Customer.objects.in_bulk({customer for _rule, customer in new})
    day = context.business_date
    risk = risk_people(day)
    made = Signal.objects.bulk_create(
        [
            Signal(
                customer_id=customer, code=rule.code, name=rule.name, level=rule.level, owner_kind=rule.owner,
                owner_id=owner_of(customers[customer], rule.owner, risk), figures=found[rule.code][customer], opened_on=day,
                due_on=day + dt.timedelta(days=1 + rule.days), policy=policy.version, run_id=context.run_id,
            )
            for rule, customer in new
        ],
        batch_size=2000, ignore_conflicts=True,
    )  # fmt: skip
    return len(made)


def _follow_managers(span: tuple[int, int]) -> int:
    """A manager's warning goes along with the customer, unless a person has passed it on."""
    moved = 0
    waiting = _live(span).filter(owner_kind="manager", is_passed_on=False, state=SignalState.OPEN)
    for signal in waiting.exclude(owner_id=F("customer__responsible_id")).select_related("customer"):
        if signal.owner_id != signal.customer.responsible_id:
            signal.owner_id = signal.customer.responsible_id
            signal.save(update_fields=["owner_id"])
            moved += 1
    return moved


def _put_tasks(context: RunContext, span: tuple[int, int]) -> int:
    day = context.business_date
    waiting = list(_live(span).filter(OPEN).annotate(unit=F("customer__home_branch_id")))
    rules = rules_then(s.policy_id for s in waiting if s.policy_id)
    stakes = dict(
        Standing.objects.filter(customer_id__in={s.customer_id for s in waiting}).values_list(
            "customer_id", "loans"
        )
    )
    rows = [
        TaskRow(
            reason=REASON, source_key=f"{SOURCE}{s.pk}", due_date=s.due_on, customer_id=s.customer_id,
            owner_id=s.owner_id, unit_id=s.unit, params=task_params(s, rules.get((s.policy_id or 0, s.code))),
            stake=Decimal(stakes.get(s.customer_id) or 0), urgency=pressing(s.due_on, day + dt.timedelta(days=1), URGENCY[s.level]),
        )
        for s in waiting
    ]  # fmt: skip
    counts = put_tasks(
        context.bank_id, rows, sources=[SOURCE], as_of=day, run_id=context.run_id, customers=span
    )
    return counts.changed + counts.cancelled


# Rules whose cause is on the worklist by itself, under a reason that says more: beside it the warning is a word alone.
SAME_CAUSE = {
    "overdue": "overdue", "overdue_long": "overdue", "deposits_falling": "drop", "line_use": "line_use",
    "line_expiring": "line_expiring", "line_ended": "line_expired", "churn": "churn",
}  # fmt: skip


def same_cause(params: Mapping[str, Any]) -> str:
    """The reason whose task says the same, or ""."""
    return SAME_CAUSE.get(str(params["code"]), "")


def level(params: Mapping[str, Any]) -> str:
    """How grave it is: what the policy says of its rule."""
    return str(params["level"])


def _plan(context: RunContext) -> Iterator[Mapping[str, Any]]:
    """A bank that was founded before these policies were known gets their defaults first."""
    ensure_default_policies(timezone.now())
    yield from customer_ranges(context.bank_id)


def register() -> None:
    """Make the steps and the reason known (AppConfig.ready; crm_site/pipeline.py has the whole order)."""
    add_step(
        Step(
            "classes",
            gettext_lazy("Five-level classification"),
            classes,
            after=("arrears",),
            plan=_plan,
            finish=finish_classes,
        )
    )
    add_step(
        Step(
            "warnings", gettext_lazy("Early warning"), warnings,
            after=("lines", "classes", "ratings", "churn", "placement"), plan=_plan,
        )
    )  # fmt: skip
    add_work_reason(
        WorkReason(
            REASON,
            gettext_lazy("Early warning"),
            "alert-triangle",
            say,
            needs_result=True,
            same=same_cause,
            level_of=level,
        )
    )
