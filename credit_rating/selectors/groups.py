"""Groups and connected customers over the ties on record (C5): the whole bank's count, whoever looks after the members."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from django.db import connection
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL

from credit_rating.engine.exposure import Capital
from credit_rating.engine.groups import (
    BY_SHARE,
    CONTROL,
    GUARANTOR,
    KIN,
    SUPPLIER,
    Bonds,
    Group,
    Tie,
    Web,
    components,
    controllers,
    group_of,
    is_core,
    is_dependence,
    mutual,
    web_of,
)
from credit_rating.models import BankCapital, Guarantee, GuaranteeStatus, GuarantorCapacity
from credit_rating.policies import Body
from credit_rating.policies.caps import bonds_of, dependence_share
from credit_rating.selectors.at_stake import capital_on, stakes_of
from credit_rating.selectors.policies import policy_on
from crm_site.lib.errors import DomainError
from crm_site.lib.tenancy import require_bank
from customers.models import RecordedTie, Relation

Row = TypeVar("Row", Relation, RecordedTie)
MOST_MEMBERS = 500
FEW = 1000  # so many customers are looked up by the index
_BY_ONE = ("parent_company", *BY_SHARE)  # control of one by the other: its holder is a controller
_DEPENDING = (GUARANTOR, SUPPLIER)  # relations that may be economic dependence
RELATIVES = (
    KIN,
    *CONTROL,
    "legal_representative",
)  # who may not decide: as credit_rating_kin in the database


def groups_of(
    customers: Iterable[int],
    policy: Body,
    capital: tuple[Capital, BankCapital] | None,
    day: dt.date,
    limits: Mapping[int, Decimal | None] | None = None,
) -> dict[int, Group]:
    """customer -> its group and whom dependence connects with it, together at most MOST_MEMBERS beyond those asked for.

    `limits`: what the lines of some of them would come to. Without capital nobody's dependence is asked. As many
    statements as the longest way from one of them.
    """
    starts = list(customers)
    read = _read_around(starts, bonds_of(policy), bound_of(policy, capital), day, limits or {}, MOST_MEMBERS)
    web = web_of(read.core, read.depends, read.credit, read.bound)
    return {start: group_of(start, web, read.wanted.get(start)) for start in starts}


def circles_of(
    limits: Mapping[int, Decimal | None], day: dt.date, undone: dt.datetime
) -> dict[int, Collection[int]]:
    """customer -> its group and whom dependence connects with it, once its lines come to a limit, as they would be if no
    tie that staff recorded had ended since a moment. Without dependence while an exchange rate is missing."""
    policy = policy_on("caps", day).body
    bonds = bonds_of(policy)
    try:
        read = _read_around(
            limits, bonds, bound_of(policy, capital_on(day)), day, limits, MOST_MEMBERS, undone
        )
    except DomainError:
        read = _read_around(limits, bonds, None, day, limits, MOST_MEMBERS, undone)
    web = web_of(read.core, read.depends, read.credit, read.bound)
    return {one: group_of(one, web, read.wanted.get(one)).members for one in limits}


def recorded_around(customers: Collection[int], since: dt.datetime) -> QuerySet[RecordedTie]:
    """Ties of some customers that staff have recorded or ended since a moment."""
    lately = RecordedTie.objects.filter(Q(recorded_at__gte=since) | Q(ended_at__gte=since))
    return _of(lately, customers)


def bound_of(policy: Body, capital: tuple[Capital, BankCapital] | None) -> Decimal | None:
    """The credit of one end above which economic dependence is asked; None without capital on record: it is not."""
    return capital[0].tier1 * dependence_share(policy) if capital else None


@dataclass(slots=True)
class Reach:
    """Ties around some customers: of groups, and of dependence that holds; the credit of those whom dependence ties, and
    what of them would have who ask."""

    bound: Decimal | None
    core: dict[Tie, None] = field(default_factory=dict)
    depends: dict[Tie, None] = field(default_factory=dict)
    credit: dict[int, Decimal] = field(default_factory=dict)
    wanted: dict[int, Decimal] = field(default_factory=dict)


def _read_around(
    starts: Collection[int], bonds: Bonds, bound: Decimal | None, day: dt.date,
    limits: Mapping[int, Decimal | None], most: int | None, undone: dt.datetime | None = None,
) -> Reach:  # fmt: skip
    """`most`: of members beyond those asked for (None: all, however many). `undone`: as if no tie that staff recorded had
    ended since."""
    found = Reach(bound)
    controlling: set[int] = set()
    told: list[Tie] = []
    known, wave, asked = set(starts), set(starts), set(starts)
    while wave and (most is None or len(known) < most + len(starts)):
        ties = _touching(wave, bonds, undone, with_dependence=bound is not None)
        controlling |= _controlling(ties, bonds, undone)
        near = [tie for tie in ties if is_core(tie, bonds, controlling)]
        found.core |= dict.fromkeys(near)
        told += ties
        wave = _ends(near) - known
        if not wave and bound is not None:  # the group is whole: who depends on it?
            told += _promises(asked, day)
            material = [t for t in (*told, *mutual(told)) if is_dependence(t, bonds)]
            _weigh(found.credit, found.wanted, _ends(material), limits, day)
            greatest = {
                one: max(amount, found.wanted.get(one, amount)) for one, amount in found.credit.items()
            }
            held = [t for t in material if max(greatest[t.one], greatest[t.other]) > bound]
            found.depends |= dict.fromkeys(held)
            wave, asked = _ends(held) - known, set()
        known |= wave
        asked |= wave
    return found


def groups_reached(customers: Collection[int], day: dt.date) -> list[list[int]]:
    """The groups, without dependence, that some customers belong to, whole, each in order of id."""
    return components(
        _read_around(customers, bonds_of(policy_on("caps", day).body), None, day, {}, None).core
    )


def webs_reached(customers: Collection[int], day: dt.date, *, connected: bool) -> tuple[list[list[int]], Web]:
    """The groups of `groups_reached` with the ties that hold them; `connected`: with whom dependence connects with them,
    unless no capital is on record or an exchange rate is missing. As many statements as the longest way from one."""
    policy = policy_on("caps", day).body
    bonds = bonds_of(policy)
    try:
        bound = bound_of(policy, capital_on(day)) if connected else None
        read = _read_around(customers, bonds, bound, day, {}, None)
    except DomainError:
        read = _read_around(customers, bonds, None, day, {}, None)
    return components([*read.core, *read.depends]), web_of(read.core, read.depends, read.credit, read.bound)


def held_together(
    limits: Mapping[int, Decimal], policy: Body, capital: tuple[Capital, BankCapital], day: dt.date
) -> tuple[list[list[int]], list[list[int]]]:
    """(groups, connected customers) that some customers belong to, whole, once the lines of all of them come to a limit."""
    read = _read_around(list(limits), bonds_of(policy), bound_of(policy, capital), day, limits, None)
    return components(read.core), components([*read.core, *read.depends])


def connected_with(customer_id: int, day: dt.date) -> tuple[int, ...]:
    """A customer, its group and whom dependence connects with it; the group alone while an exchange rate is missing, for
    then nobody can say who is great enough to be asked."""
    policy = policy_on("caps", day).body
    try:
        return groups_of([customer_id], policy, capital_on(day), day)[customer_id].members
    except DomainError:
        return groups_of([customer_id], policy, None, day)[customer_id].core


def tied_around(ends: Collection[int], day: dt.date) -> set[int]:
    """Everybody whose group or connected customers some customers may be among, however strong the ties: the groups of
    all of them, and whom dependence may tie to a member."""
    found = set(ends).union(*groups_reached(ends, day))
    for one in ends:
        found |= set(connected_with(one, day))
    return found | _ends(_depending(found, day))


def kin_around(ends: Collection[int], steps: int) -> list[set[int]]:
    """Whom relations that make relatives lead to from some customers: those at 0, 1, … steps, `steps` at most."""
    waves = [set(ends)]
    known = set(ends)
    while waves[-1] and len(waves) <= steps:
        waves.append(_ends(_relations_of(waves[-1], RELATIVES)) - known)
        known |= waves[-1]
    return waves


def groups_of_book(day: dt.date, big: Collection[int]) -> tuple[list[list[int]], list[list[int]]]:
    """(groups, connected customers) of the whole bank; `big`: who has more credit than the bound of dependence."""
    bonds = bonds_of(policy_on("caps", day).body)
    ties = _relations(Relation.objects.filter(kind__in=CONTROL))
    controlling = _controlling(ties, bonds)
    if KIN in bonds.kinds:
        # Kin of nobody who controls are not read: a rural bank's families are most of its relations.
        heads = Relation.objects.filter(kind__in=_BY_ONE).values("customer_id")
        kin = Relation.objects.filter(Q(customer_id__in=heads) | Q(other_id__in=heads), kind=KIN)
        ties += _relations(kin)
    core = [tie for tie in ties if is_core(tie, bonds, controlling)]
    depending = _depending(big, day)
    held = [tie for tie in (*depending, *mutual(depending)) if is_dependence(tie, bonds)]
    return components(core), components([*core, *held])


def grouped(customers: Collection[int], day: dt.date) -> set[int]:
    """Those of some customers that may hang together with others, whatever the shares."""
    ids = set(customers)
    ties = _relations_of(ids, (*CONTROL, *_DEPENDING))
    heads = Relation.objects.filter(kind__in=_BY_ONE).values("customer_id")
    kin = Relation.objects.filter(Q(customer_id__in=heads) | Q(other_id__in=heads), kind=KIN)
    return _ends([*ties, *_relations(_of(kin, ids)), *_promises(ids, day)]) & ids


def _ends(ties: Iterable[Tie]) -> set[int]:
    return {end for tie in ties for end in (tie.one, tie.other)}


def _of(rows: QuerySet[Row], customers: Collection[int]) -> QuerySet[Row]:
    ids = among(customers)
    return rows.filter(Q(customer_id__in=ids) | Q(other_id__in=ids))


def among(customers: Collection[int]) -> Any:
    """Customers for a lookup `in`: the many of a night in one array, which is hashed; a list of thousands is searched
    through for every row, and few are found by the index."""
    return RawSQL("select unnest(%s::bigint[])", [list(customers)]) if len(customers) > FEW else customers


def _relations(rows: QuerySet[Relation] | QuerySet[RecordedTie]) -> list[Tie]:
    """Relations of a whole book, many; and such as have ended."""
    told = rows.order_by("id").values_list("customer_id", "other_id", "kind", "share")
    return [Tie(*row) for row in told.iterator()]


_RELATIONS = """
SELECT customer_id, other_id, kind, share FROM (
    SELECT r.id, r.customer_id, r.other_id, r.kind, r.share FROM unnest(%(these)s::bigint[]) w(id)
    JOIN customers_relation r ON r.bank_id = %(bank)s AND r.customer_id = w.id AND r.kind = ANY (%(kinds)s)
    UNION
    SELECT r.id, r.customer_id, r.other_id, r.kind, r.share FROM unnest(%(these)s::bigint[]) w(id)
    JOIN customers_relation r ON r.bank_id = %(bank)s AND r.other_id = w.id AND r.kind = ANY (%(kinds)s)
) found ORDER BY id
"""


def _relations_of(customers: Collection[int], kinds: Collection[str]) -> list[Tie]:
    """The relations of some kinds that some customers have, at either end. By hand: a page walks from wave to wave, and
    each statement would cost more to build than to answer; and by two ways, for an OR of both ends reads the whole table
    where the customers are thousands."""
    values: dict[str, Any] = {"these": list(customers), "bank": require_bank(), "kinds": list(kinds)}
    with connection.cursor() as cursor:
        cursor.execute(_RELATIONS, values)
        return [Tie(*row) for row in cursor.fetchall()]


def _touching(
    wave: Collection[int], bonds: Bonds, undone: dt.datetime | None, *, with_dependence: bool
) -> list[Tie]:
    """The relations of some customers that may tie them to others."""
    kinds = [*CONTROL, *({KIN} & bonds.kinds)]
    if with_dependence:
        kinds += sorted(
            {GUARANTOR, SUPPLIER} & (bonds.kinds | ({GUARANTOR} if "mutual" in bonds.kinds else set()))
        )
    ties = _relations_of(wave, kinds)
    return ties + _relations(_of(_ended(undone).filter(kind__in=kinds), wave)) if undone else ties


def _ended(since: dt.datetime) -> QuerySet[RecordedTie]:
    return RecordedTie.objects.filter(ended_at__gte=since)


def _depending(customers: Collection[int], day: dt.date) -> list[Tie]:
    if not customers:
        return []
    return [
        *_relations_of(customers, _DEPENDING), *_promises(customers, day)
    ]  # fmt: skip


def _promises(customers: Collection[int], day: dt.date) -> list[Tie]:
    """Guarantees in force that some customers have given or have: the part of what the guarantor can promise in all, as
    assessed last; None where nobody has assessed it."""
    ids = among(customers)
    newest = GuarantorCapacity.objects.filter(guarantor=OuterRef("guarantor"), assessed_on__lte=day)
    rows = (
        Guarantee.objects.filter(Q(guarantor_id__in=ids) | Q(customer_id__in=ids))
        .filter(Q(to_date__isnull=True) | Q(to_date__gte=day), from_date__lte=day)
        .filter(kind=GUARANTOR, status=GuaranteeStatus.ACTIVE)
        .annotate(can=Subquery(newest.order_by("-assessed_on", "-id").values("capacity")[:1]))
        .order_by("id")
        .values_list("guarantor_id", "customer_id", "amount", "can")
    )
    return [Tie(one, other, GUARANTOR, amount / can if can else None) for one, other, amount, can in rows]


def _controlling(ties: Collection[Tie], bonds: Bonds, undone: dt.datetime | None = None) -> set[int]:
    """Who controls another, of those whose ties were read and of their kin."""
    found = controllers(ties, bonds.control)
    kin = _ends(tie for tie in ties if tie.kind == KIN)
    if not kin:
        return found
    held = _relations_of(kin, _BY_ONE)
    if undone:
        held += _relations(_ended(undone).filter(kind__in=_BY_ONE, customer_id__in=kin))
    return found | controllers(held, bonds.control)


def _weigh(
    credit: dict[int, Decimal], wanted: dict[int, Decimal], ends: set[int], limits: Mapping[int, Decimal | None],
    day: dt.date,
) -> None:  # fmt: skip
    """Read the credit of those at the ends of ties, once each; with what is wanted of those who ask."""
    for one, stake in (stakes_of(ends - credit.keys(), day) if ends - credit.keys() else {}).items():
        credit[one] = stake.credit
        if (limit := limits.get(one)) is not None:
            wanted[one] = stake.after(limit).credit
