"""What a group's trouble means for its members: who of them is past due or in a bad class, and whom that touches (C10).

Groups are those of control and kin, and, where the policy says so, whom economic dependence connects with them
(engine.groups); only ties that hang together with the debtors asked about are read, wherever in the bank the members are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.db.models import Max

from credit_rating.engine.classes import Level
from credit_rating.engine.groups import Web, group_of
from credit_rating.models import LoanClass
from credit_rating.policies.classes import CODES
from credit_rating.policies.warnings import Contagion
from credit_rating.selectors.groups import webs_reached
from customers.models import Standing


def touched_by_group(debtors: Collection[int], when: Contagion, day: dt.date) -> dict[int, dict[str, Any]]:
    """debtor -> what is worst with another member of its group: {"member": id, "member_days", "member_class": code, "tie"},
    with "tie_share" and "via": the tie by which the member is reached, and from whom where that is not the debtor;
    "connected" where the member is no member of the group, but dependence is on the way."""
    wanted = set(debtors)
    groups, web = webs_reached(wanted, day, connected=when.connected)
    members = {member for group in groups for member in group}
    days, levels = _troubles(members, when)
    found: dict[int, dict[str, Any]] = {}
    for group in groups:
        # The gravest first; the number of a customer makes the choice the same every night.
        bad = sorted(
            (one for one in group if one in days or one in levels),
            key=lambda one: (-levels.get(one, 0), -days.get(one, 0), one),
        )
        for debtor in wanted.intersection(group):
            worst = next((one for one in bad if one != debtor), None)
            if worst is not None:
                found[debtor] = _figures(worst, days.get(worst), levels.get(worst)) | _way(debtor, worst, web)
    return found


def _way(debtor: int, member: int, web: Web) -> dict[str, Any]:
    """By which tie a debtor and a member of the same connected customers hang together."""
    group = group_of(debtor, web)
    reached = group.ties[member]
    if reached is None:  # nobody is a member to himself
        return {}
    tie, via = reached
    told: dict[str, Any] = {"tie": tie.kind}
    if tie.share is not None:
        told["tie_share"] = f"{tie.share:.6f}"
    if via != debtor:
        told["via"] = via
    if member not in group.core:
        told["connected"] = True
    return told


def _troubles(members: set[int], when: Contagion) -> tuple[dict[int, int], dict[int, int]]:
    """(member -> days past due, member -> level) of those in trouble by either measure."""
    days: dict[int, int] = {}
    levels: dict[int, int] = {}
    if members and when.days:
        late = Standing.objects.filter(customer_id__in=members, days_past_due__gte=when.days)
        days = dict(late.values_list("customer_id", "days_past_due"))
    if members and when.level is not None:
        bad = LoanClass.objects.filter(customer_id__in=members, until__isnull=True, level__gte=when.level)
        levels = dict(bad.order_by().values_list("customer_id").annotate(worst=Max("level")))
    return days, levels


def _figures(member: int, days: int | None, level: int | None) -> dict[str, Any]:
    told: dict[str, Any] = {"member": member}
    if days is not None:
        told["member_days"] = days
    if level is not None:
        told["member_class"] = CODES[Level(level)]
    return told
