"""What the bank has at stake with a customer, its group and its related parties, against the caps (C5)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from credit_rating.engine.exposure import (
    BY_SHARE,
    Capital,
    CapUse,
    Stake,
    Tie,
    check_caps,
    check_related,
    group_of,
    neighbours,
)
from credit_rating.engine.steps import ZERO
from credit_rating.models import BankCapital, RelatedParty
from credit_rating.models.lines import LIVING, CreditLine
from credit_rating.policies import Body
from credit_rating.policies.caps import caps_of
from credit_rating.selectors.policies import policy_on
from crm_site.accounts.banks import home_currency
from crm_site.lib.errors import DomainError
from crm_site.lib.money import round_cents
from crm_site.lib.permissions import Actor
from crm_site.lib.tenancy import require_bank
from customers.models import Customer, FxRate, Relation, Standing

MOST_MEMBERS = 500
CONTROL = ("parent_company", "common_control", *BY_SHARE)  # relations that may make a group


def group_members(customer_id: int, threshold: Decimal) -> tuple[int, ...]:
    """The customer and everybody it hangs together with by control, nearest first; at most MOST_MEMBERS.

    The whole bank's relations count, whoever looks after the members. One statement a step away from the customer.
    """
    return _groups([customer_id], threshold)[customer_id]


def _groups(customers: Iterable[int], threshold: Decimal) -> dict[int, tuple[int, ...]]:
    """customer -> its group, for several at once: as many statements as the longest way from one of them."""
    ties: dict[int, Tie] = {}
    starts = list(customers)
    groups: dict[int, tuple[int, ...]] = {}
    known, wave = set(starts), set(starts)
    while wave and len(known) < MOST_MEMBERS + len(starts):
        touching = Relation.objects.filter(Q(customer_id__in=wave) | Q(other_id__in=wave), kind__in=CONTROL)
        ties |= {r.pk: Tie(r.customer_id, r.other_id, r.kind, r.share) for r in touching.order_by("id")}
        near = neighbours(ties.values(), threshold)
        groups = {start: group_of(start, near) for start in starts}
        found = {one for group in groups.values() for one in group}
        known, wave = known | found, found - known
    return groups


def stakes_of(customers: Iterable[int], day: dt.date) -> dict[int, Stake]:
    """customer -> loans of the core's newest day, and its living lines as they stand now, in the bank's currency."""
    ids = list(customers)
    return _stakes(_standings(ids), ids, day)


def _stakes(standings: Mapping[int, Standing], ids: list[int], day: dt.date) -> dict[int, Stake]:
    lines = _lines_of(ids, day)
    return {
        one: Stake(standings[one].loans if one in standings else ZERO, *lines.get(one, _NO_LINES))
        for one in ids
    }


def _standings(ids: list[int]) -> dict[int, Standing]:
    told = Standing.objects.filter(customer_id__in=ids)
    return {s.customer_id: s for s in told.only("customer_id", "loans", "overdue_amount", "days_past_due")}


def home_rates(currencies: Iterable[str], day: dt.date) -> dict[str, Decimal]:
    """currency -> its newest rate up to a day to the bank's own (1). Raises DomainError for one that has none."""
    wanted = set(currencies)
    home = home_currency(require_bank())
    rates = {home: Decimal(1)}
    if foreign := wanted - {home}:
        known = FxRate.objects.filter(currency__in=foreign, rate_date__lte=day)
        rates |= dict(
            known.order_by("currency", "-rate_date").distinct("currency").values_list("currency", "rate")
        )
    if missing := wanted - rates.keys():
        raise DomainError(
            _("No exchange rate by %(day)s for: %(currencies)s")
            % {"day": day.isoformat(), "currencies": ", ".join(sorted(missing))},
            code="fx_rate_missing",
        )
    return rates


_NO_LINES = (ZERO, ZERO, ZERO)


def _lines_of(customers: list[int], day: dt.date) -> dict[int, tuple[Decimal, Decimal, Decimal]]:
    """customer -> (limits, drawn, reserved) of the lines that may be drawn on. Frozen ones count: they may thaw; a raise
    or renewal that is approved and waits for its conditions counts as well.

    Raises DomainError for a currency without an exchange rate: a line that is left out would look like room.
    """
    counts = Q(status__in=LIVING, expires_on__gte=day) | Q(waiting_until__gte=day)
    lines = list(CreditLine.objects.filter(counts, customer_id__in=customers))
    rows = [(x.customer_id, x.currency, x.promised, x.reserved, x.utilised) for x in lines]
    rates = home_rates({currency for _customer, currency, *_amounts in rows}, day)
    found: dict[int, tuple[Decimal, Decimal, Decimal]] = {}
    for customer, currency, limit, reserved, utilised in rows:
        limits, drawn, held = found.get(customer, _NO_LINES)
        rate = rates[currency]
        found[customer] = (
            limits + round_cents(limit * rate),
            drawn + round_cents(utilised * rate),
            held + round_cents(reserved * rate),
        )
    return found


def quarter_end_before(day: dt.date) -> dt.date:
    """The last day of the quarter before the day's."""
    return dt.date(day.year, (day.month - 1) // 3 * 3 + 1, 1) - dt.timedelta(days=1)


def capital_on(day: dt.date) -> tuple[Capital, BankCapital] | None:
    """The bank's capital that holds on a day, with last quarter's; None before the first is on record."""
    known = list(BankCapital.objects.filter(as_of__lte=day).order_by("-as_of"))  # a few a year
    if not known:
        return None
    now, quarter = known[0], quarter_end_before(day)
    last = next((row for row in known if row.as_of <= quarter), None)
    return Capital(now.net_capital, now.tier1_net_capital, last.net_capital if last else None), now


def related_on(day: dt.date) -> QuerySet[RelatedParty]:
    """Entries of the register that hold on a day."""
    return RelatedParty.objects.filter(Q(to_date__isnull=True) | Q(to_date__gte=day), from_date__lte=day)


def related_customers(day: dt.date) -> set[int]:
    """Customers that are related parties on a day: by the register, or because the core says so."""
    told = Customer.objects.filter(is_related_party=True).order_by().values_list("pk")
    return {key for (key,) in related_on(day).order_by().values_list("customer_id").union(told)}


@dataclass(frozen=True, slots=True)
class RelatedUse:
    """How far the caps of related parties are used, over the whole bank. `together` is None while the capital of the
    quarter before is not on record: nothing was checked then. `each`: related party -> its nearest cap."""

    count: int
    together: CapUse | None
    each: Mapping[int, CapUse]


def related_use(day: dt.date) -> RelatedUse:
    """Every related party of a day against its caps, as its stakes stand; a case's own page adds what it asks for."""
    policy = policy_on("caps", day).body
    related = related_customers(day)
    found = capital_on(day)
    if found is None or found[0].net_last_quarter is None:
        return RelatedUse(len(related), None, {})
    groups = _groups(related, policy.params["control_pct"])
    stakes = stakes_of({one for members in groups.values() for one in members}, day)
    return RelatedUse(len(related), *check_related(stakes, groups, found[0], caps_of(policy)))


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group. `name` "" for a customer that the reader does not see. `overdue` of its loans, and for how
    many `days`, by the core's newest day."""

    customer_id: int
    name: str
    is_self: bool
    stake: Stake
    after: Stake
    overdue: Decimal = ZERO
    days: int = 0


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
    policy = policy_on("caps", day).body
    ids = list(group_members(customer.pk, policy.params["control_pct"]))
    standings = _standings(ids)
    stakes = _stakes(standings, ids, day)
    own = stakes[customer.pk]
    after = {**stakes, customer.pk: own if limit is None else own.after(limit)}
    names = dict(Customer.objects.visible_to(actor).filter(pk__in=ids).values_list("pk", "name"))
    late = {i: (s.overdue_amount, s.days_past_due) for i, s in standings.items()}
    members = [
        Member(i, names.get(i, ""), i == customer.pk, stakes[i], after[i], *late.get(i, (ZERO, 0)))
        for i in ids
    ]
    related = related_customers(day)
    is_related = not related.isdisjoint(ids)
    found = capital_on(day)
    lacks = is_related and found is not None and found[0].net_last_quarter is None
    others = stakes_of(related | set(ids), day) if is_related and found is not None and not lacks else None
    return _concentration(members, policy, found, others, is_related, lacks)


def cap_uses(limits: Mapping[int, Decimal], day: dt.date) -> dict[int, tuple[CapUse, ...]]:
    """customer -> every cap that applies when its lines come to a limit: `concentration_of` for many, by what the whole
    bank has at stake. Empty while no capital is on record; without last quarter's, related parties lack their own caps."""
    found = capital_on(day)
    if found is None or not limits:
        return {}
    policy = policy_on("caps", day).body
    groups, related = _groups(limits, policy.params["control_pct"]), related_customers(day)
    members = {one for group in groups.values() for one in group}
    touched = related if related & members and found[0].net_last_quarter is not None else set()
    stakes = stakes_of(members | touched, day)
    uses = {}
    for customer, limit in limits.items():
        after = {one: stakes[one] for one in groups[customer]} | {customer: stakes[customer].after(limit)}
        others = {one: stakes[one] for one in touched | set(after)} if touched & set(after) else None
        uses[customer] = check_caps(customer, after, found[0], caps_of(policy), related=others)
    return uses


def broken_caps(limits: Mapping[int, Decimal], day: dt.date) -> dict[int, tuple[CapUse, ...]]:
    """customer -> the caps that are broken when its lines come to a limit; only those that break any."""
    uses = {
        one: tuple(u for u in found if u.level == "breach") for one, found in cap_uses(limits, day).items()
    }
    return {one: broken for one, broken in uses.items() if broken}


def alone(
    customer: Customer, stake: Stake, policy: Body, found: tuple[Capital, BankCapital] | None, limit: Decimal
) -> Concentration:
    """`concentration_of` of a customer without a group who is no related party, of what was read for many."""
    member = Member(customer.pk, customer.name, True, stake, stake.after(limit))
    return _concentration([member], policy, found, None, False, False)


def _concentration(
    members: list[Member], policy: Body, found: tuple[Capital, BankCapital] | None, others: dict[int, Stake] | None,
    is_related: bool, lacks: bool,
) -> Concentration:  # fmt: skip
    if found is None:
        return Concentration(members, (), None, is_related, False)
    capital, row = found
    after = {m.customer_id: m.after for m in members}
    customer_id = next(m.customer_id for m in members if m.is_self)
    uses = check_caps(customer_id, after, capital, caps_of(policy), related=others)
    return Concentration(members, uses, row, is_related, lacks)


def grouped(customers: Iterable[int]) -> set[int]:
    """Those of some customers that may hang together with others: any relation of control, whatever its share."""
    ids = list(customers)
    ties = Relation.objects.filter(kind__in=CONTROL)
    found = set(ties.filter(customer_id__in=ids).values_list("customer_id", flat=True))
    return found | set(ties.filter(other_id__in=ids).values_list("other_id", flat=True))
