"""What the bank has at stake with a customer, its group and its related parties, against the caps (C5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db.models import Q, QuerySet

from credit_rating.engine.exposure import Capital, CapUse, Stake, check_caps, check_related
from credit_rating.engine.groups import Group
from credit_rating.engine.steps import ZERO
from credit_rating.models import BankCapital, Guarantee, RelatedParty
from credit_rating.models.guarantees import LIVE
from credit_rating.policies import Body
from credit_rating.policies.caps import caps_of
from credit_rating.selectors.at_stake import capital_on, credits_of, stakes_by, stakes_of, standings_of
from credit_rating.selectors.groups import grouped, groups_of, groups_reached, held_together
from credit_rating.selectors.policies import policy_on
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor
from customers.models import Customer


def related_on(day: dt.date) -> QuerySet[RelatedParty]:
    """Entries of the register that hold on a day."""
    return RelatedParty.objects.filter(Q(to_date__isnull=True) | Q(to_date__gte=day), from_date__lte=day)


def related_customers(day: dt.date) -> set[int]:
    """Customers that are related parties on a day: by the register, or because the core says so."""
    told = Customer.objects.filter(is_related_party=True).order_by().values_list("pk")
    return {key for (key,) in related_on(day).order_by().values_list("customer_id").union(told)}


def circle_of(customers: Collection[int], day: dt.date) -> set[int]:
    """All related parties and their groups, whom one cap counts together, when some customers are related parties; else
    nobody."""
    related = related_customers(day)
    return set() if related.isdisjoint(customers) else _together(_groups_of_related(related, day))


def _groups_of_related(related: set[int], day: dt.date) -> dict[int, Sequence[int]]:
    """related party -> its group, itself included: whom all related parties' cap counts."""
    groups: dict[int, Sequence[int]] = {one: (one,) for one in related}
    for group in groups_reached(related, day) if related else ():
        groups.update(dict.fromkeys(related.intersection(group), group))
    return groups


def _together(groups: Mapping[int, Sequence[int]]) -> set[int]:
    return {one for members in groups.values() for one in members}


@dataclass(frozen=True, slots=True)
class RelatedUse:
    """How far the caps of related parties are used, over the whole bank. `together` is None while nothing could be checked:
    the capital of the quarter before is not on record, or, as `fault` says, an exchange rate is missing. `each`: related
    party -> its nearest cap; `groups`: related party -> its group; `credits`: of all of them."""

    together: CapUse | None
    each: Mapping[int, CapUse]
    groups: Mapping[int, Sequence[int]]
    credits: Mapping[int, Decimal]
    fault: str = ""

    @property
    def count(self) -> int:
        return len(self.groups)

    def credit_of(self, customers: Iterable[int]) -> Decimal:
        """What some of them have, each once."""
        return sum((self.credits.get(one, ZERO) for one in set(customers)), ZERO)


def related_use(day: dt.date) -> RelatedUse:
    """Every related party of a day against its caps, as its stakes stand; a case's own page adds what it asks for. As many
    statements whatever their number, but for the longest way through a group."""
    groups = _groups_of_related(related_customers(day), day)
    try:
        credit = credits_of(_together(groups), day)
    except DomainError as error:
        return RelatedUse(None, {}, groups, {}, str(error))
    found = capital_on(day)
    if found is None or found[0].net_last_quarter is None:
        return RelatedUse(None, {}, groups, credit)
    together, each = check_related(credit, groups, found[0], caps_of(policy_on("caps", day).body))
    return RelatedUse(together, each, groups, credit)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group. `name` "" for a customer that the reader does not see. `overdue` of its loans, and for how
    many `days`, by the core's newest day. `tie` (engine.groups.TIES; "" for the customer itself), with its share, is what
    ties it to the member `via`; one that is not `is_core` is connected by economic dependence alone."""

    customer_id: int
    name: str
    is_self: bool
    stake: Stake
    after: Stake
    overdue: Decimal = ZERO
    days: int = 0
    tie: str = ""
    tie_share: Decimal | None = None
    via: int | None = None
    is_core: bool = True


@dataclass(frozen=True, slots=True)
class Concentration:
    """Group, caps and capital. `uses` is empty while no capital is on record: nothing was checked then."""

    members: list[Member]
    uses: tuple[CapUse, ...]
    capital: BankCapital | None
    is_related: bool
    lacks_last_quarter: bool

    @property
    def breaches(self) -> list[CapUse]:
        return [use for use in self.uses if use.level == "breach"]

    @property
    def lent(self) -> Decimal:
        return sum((m.stake.lent for m in self.members), ZERO)

    @property
    def credit(self) -> Decimal:
        return sum((m.stake.credit for m in self.members), ZERO)

    @property
    def credit_after(self) -> Decimal:
        return sum((m.after.credit for m in self.members), ZERO)


def concentration_of(
    actor: Actor, customer: Customer, *, day: dt.date, limit: Decimal | None = None
) -> Concentration:
    """A customer's group and every cap that applies, with its lines coming to `limit` (None: as they are)."""
    policy, found = policy_on("caps", day).body, capital_on(day)
    group = groups_of([customer.pk], policy, found, day, {customer.pk: limit})[customer.pk]
    ids = list(group.members)
    standings = standings_of(ids)
    stakes = stakes_by(standings, ids, day)
    own = stakes[customer.pk]
    after = {**stakes, customer.pk: own if limit is None else own.after(limit)}
    names = dict(Customer.objects.visible_to(actor).filter(pk__in=ids).values_list("pk", "name"))
    late = {i: (s.overdue_amount, s.days_past_due) for i, s in standings.items()}
    members = [
        _tied(
            Member(i, names.get(i, ""), i == customer.pk, stakes[i], after[i], *late.get(i, (ZERO, 0))), group
        )
        for i in ids
    ]
    related = related_customers(day)
    is_related = not related.isdisjoint(group.core)
    lacks = is_related and found is not None and found[0].net_last_quarter is None
    others = None
    if is_related and found is not None and not lacks:
        others = credits_of(_together(_groups_of_related(related, day)), day)
    return _concentration(members, policy, found, others, is_related, lacks)


def _tied(member: Member, group: Group) -> Member:
    """A member with the tie by which it belongs."""
    reached = group.ties[member.customer_id]
    if reached is None:
        return member
    (tie, via), is_core = reached, member.customer_id in group.core
    return replace(member, tie=tie.kind, tie_share=tie.share, via=via, is_core=is_core)


def cap_uses(limits: Mapping[int, Decimal], day: dt.date) -> dict[int, tuple[CapUse, ...]]:
    """customer -> every cap that applies when its lines come to a limit: `concentration_of` for many, by what the whole
    bank has at stake. Empty while no capital is on record; without last quarter's, related parties lack their own caps."""
    found = capital_on(day)
    if found is None or not limits:
        return {}
    policy = policy_on("caps", day).body
    groups, related = groups_of(limits, policy, found, day, limits), related_customers(day)
    members = {one for group in groups.values() for one in group.members}
    core = {one for group in groups.values() for one in group.core}
    touched = related if related & core and found[0].net_last_quarter is not None else set()
    circle = credits_of(_together(_groups_of_related(touched, day)), day) if touched else {}
    stakes = stakes_of(members, day)
    uses = {}
    for customer, limit in limits.items():
        group = groups[customer]
        after = {one: stakes[one] for one in group.members} | {customer: stakes[customer].after(limit)}
        is_related = not touched.isdisjoint(group.core)
        others = circle if is_related else None
        uses[customer] = check_caps(
            customer, after, found[0], caps_of(policy), related=others, group=group.core
        )
    return uses


def broken_caps(limits: Mapping[int, Decimal], day: dt.date) -> dict[int, tuple[CapUse, ...]]:
    """customer -> the caps that are broken when its lines come to a limit; only those that break any."""
    uses = {
        one: tuple(u for u in found if u.level == "breach") for one, found in cap_uses(limits, day).items()
    }
    return {one: broken for one, broken in uses.items() if broken}


def counting_each_other(limits: Mapping[int, Decimal], day: dt.date) -> set[int]:
    """Those of some customers whose caps count another of them, once the lines of all come to a limit: of one group,
    connected with each other, or related parties, whom one cap counts together. `cap_uses` asks each as if it came alone.
    Empty while no capital is on record: nothing is checked then. Raises DomainError where an exchange rate is missing."""
    found = capital_on(day)
    if found is None:
        return set()
    groups, connected = held_together(limits, policy_on("caps", day).body, found, day)
    related = related_customers(day)
    circle = related.union(*(group for group in groups if not related.isdisjoint(group)))
    counted = [limits.keys() & members for members in (*map(set, connected), circle)]
    return set().union(*(those for those in counted if len(those) > 1))


def reaching_far(customers: Collection[int], day: dt.date) -> set[int]:
    """Those of some customers whose figures rest on others: with a group, with guarantees, or on the register of related
    parties. They are read one by one: they are few."""
    pledged = Guarantee.objects.filter(customer_id__in=customers, status__in=LIVE)
    told = pledged.order_by().values_list("customer_id", flat=True)
    return grouped(customers, day) | (related_customers(day) & set(customers)) | set(told.distinct())


def alone(
    customer: Customer, stake: Stake, policy: Body, found: tuple[Capital, BankCapital] | None, limit: Decimal,
    late: tuple[Decimal, int] = (ZERO, 0),
) -> Concentration:  # fmt: skip
    """`concentration_of` of a customer without a group who is no related party, of what was read for many. `late`: what
    of its loans is overdue, and for how many days."""
    member = Member(customer.pk, customer.name, True, stake, stake.after(limit), *late)
    return _concentration([member], policy, found, None, False, False)


def _concentration(
    members: list[Member], policy: Body, found: tuple[Capital, BankCapital] | None, others: dict[int, Decimal] | None,
    is_related: bool, lacks: bool,
) -> Concentration:  # fmt: skip
    if found is None:
        return Concentration(members, (), None, is_related, False)
    capital, row = found
    after = {m.customer_id: m.after for m in members}
    customer_id = next(m.customer_id for m in members if m.is_self)
    core = {m.customer_id for m in members if m.is_core}
    uses = check_caps(customer_id, after, capital, caps_of(policy), related=others, group=core)
    return Concentration(members, uses, row, is_related, lacks)
