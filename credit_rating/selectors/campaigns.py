"""Reads of rating-and-credit campaigns: coverage with the list behind each number, zones, members, batches (C9)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Case, Count, Q, QuerySet, When

from credit_rating.collection import Field, fields_of, read_values
from credit_rating.models import (
    BatchStatus,
    Campaign,
    CampaignBatch,
    CampaignMember,
    CampaignStatus,
    CampaignZone,
    CollectionStatus,
    CreditCase,
    CreditPolicy,
    InformationForm,
    MemberStage,
)
from credit_rating.policies import SHAPES, Body, read
from credit_rating.policies.campaign import SUBJECT
from credit_rating.selectors.calculations import needed_of
from credit_rating.selectors.policies import policy_on
from crm_site.accounts.models import OrgUnit
from crm_site.jobs.models import Run
from crm_site.lib.permissions import Actor
from customers.models import Address

PAGE = 50
MOST_BATCHES = 200  # that a page lists
RATE_PIPELINE, APPROVE_PIPELINE = "campaign_rate", "campaign_approve"
# What has been reached by whom stands where: each stage counts for those before it.
REACHED = {
    "listed": tuple(MemberStage),
    "collected": (
        MemberStage.COLLECTED, MemberStage.RATED, MemberStage.CALCULATED, MemberStage.APPROVED, MemberStage.DECLINED,
        MemberStage.EXEMPT,
    ),
    "rated": (
        MemberStage.RATED, MemberStage.CALCULATED, MemberStage.APPROVED, MemberStage.DECLINED, MemberStage.EXEMPT,
    ),
    "calculated": (MemberStage.CALCULATED, MemberStage.APPROVED, MemberStage.DECLINED, MemberStage.EXEMPT),
    "settled": (MemberStage.APPROVED, MemberStage.DECLINED, MemberStage.EXEMPT),
}  # fmt: skip

# Exceptions that still wait for somebody.
_TO_REVIEW = Q(is_exception=True, stage__in=(MemberStage.RATED, MemberStage.CALCULATED))
# Who keeps a phase (models.campaigns.PHASES) from being done.
LEFT = {
    "collect": Q(stage=MemberStage.LISTED),
    "rate": Q(stage=MemberStage.COLLECTED),
    "review": _TO_REVIEW,
    "approve": ~Q(stage__in=REACHED["settled"]),
}


def campaign_policy(day: dt.date, kind: str) -> Body:
    """The policy of campaigns in force; the default in a bank that was founded before it was known."""
    try:
        return policy_on(SUBJECT, day, kind).body
    except CreditPolicy.DoesNotExist:
        return read(SHAPES[SUBJECT], SHAPES[SUBJECT].default(kind))


def campaigns() -> list[Campaign]:
    """The bank's campaigns: running ones first, then the newest."""
    found = Campaign.objects.select_related("product", "created_by", "opened_by")
    rank = {CampaignStatus.OPEN: 0, CampaignStatus.DRAFT: 1, CampaignStatus.CLOSED: 2}
    return sorted(found, key=lambda c: (rank[CampaignStatus(c.status)], -c.pk))


def campaign(campaign_id: int) -> Campaign:
    """One. Raises Campaign.DoesNotExist."""
    return Campaign.objects.select_related("product", "created_by", "opened_by").get(pk=campaign_id)


def zone(zone_id: int) -> CampaignZone:
    """One, with its people. Raises CampaignZone.DoesNotExist."""
    found = CampaignZone.objects.select_related(
        "campaign__product", "branch", "home_branch", "owner", "taken_by"
    )
    return found.get(pk=zone_id)


def batch(batch_id: int) -> CampaignBatch:
    """One, with its people. Raises CampaignBatch.DoesNotExist."""
    found = CampaignBatch.objects.select_related(
        "campaign__product", "zone__branch", "zone__owner", "proposed_by", "decided_by"
    )
    return found.get(pk=batch_id)


# -- coverage -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far members have come: members at each stage alone. `key`: what the list behind it is filtered by."""

    label: str
    key: str = ""
    by_stage: Mapping[str, int] = field(default_factory=dict)
    exceptions: int = 0
    sub: str = ""

    @property
    def total(self) -> int:
        return sum(self.by_stage.values())

    def reached(self, step: str) -> int:
        """How many have come to a step of REACHED or past it; who was set aside is through."""
        return sum(self.by_stage.get(stage, 0) for stage in REACHED[step])

    def count(self, stage: str) -> int:
        return self.by_stage.get(stage, 0)

    def left(self, phase: str) -> int:
        """How many keep a phase from being done: what the list filtered by LEFT holds."""
        if phase == "review":
            return self.exceptions
        if phase == "approve":
            return self.total - self.reached("settled")
        return self.count("listed" if phase == "collect" else "collected")

    @property
    def pct(self) -> int:
        """Members that are through (approved, declined or exempt) per cent of all, rounded down: 100 is all."""
        return self.reached("settled") * 100 // self.total if self.total else 0


def members_of(actor: Actor, campaign_id: int) -> QuerySet[CampaignMember]:
    """The members of a campaign whom the actor sees."""
    found: QuerySet[CampaignMember] = CampaignMember.objects.visible_to(actor).filter(campaign_id=campaign_id)
    return found


# Shortest first: a large campaign has hundreds of zones.
GROUPS = {
    "branch": ("zone__branch_id", "zone__branch__name"),
    "owner": ("zone__owner_id", "zone__owner__name"),
    "zone": ("zone_id", "zone__name"),
}


def coverage(actor: Actor, campaign_id: int) -> Coverage:
    """The whole campaign, as far as the actor sees it."""
    return _sum(members_of(actor, campaign_id))


def coverages(actor: Actor, campaign_ids: Iterable[int]) -> dict[int, Coverage]:
    """campaign -> its coverage, one statement."""
    seen = CampaignMember.objects.visible_to(actor).filter(campaign_id__in=list(campaign_ids))
    rows = seen.order_by().values_list("campaign_id", "stage").annotate(n=Count("id"))
    by: dict[int, dict[str, int]] = {}
    for key, stage, n in rows:
        by.setdefault(key, {})[stage] = n
    return {key: Coverage("", by_stage=stages) for key, stages in by.items()}


def _sum(members: QuerySet[CampaignMember]) -> Coverage:
    rows = members.order_by().values("stage").annotate(n=Count("id"), out=Count("id", filter=_TO_REVIEW))
    found = list(rows)
    return Coverage("", by_stage={r["stage"]: r["n"] for r in found}, exceptions=sum(r["out"] for r in found))


def coverage_by(actor: Actor, campaign_id: int, by: str) -> list[Coverage]:
    """Coverage by zone, branch or owner of the zone (GROUPS), least covered first; who is in none comes last."""
    key, name = GROUPS[by]
    rows = (
        members_of(actor, campaign_id)
        .order_by()
        .values(key, name, "stage")
        .annotate(n=Count("id"), out=Count("id", filter=_TO_REVIEW))
    )
    groups: dict[int | None, tuple[str, dict[str, int], int]] = {}
    for row in rows:
        label, stages, out = groups.get(row[key], (row[name] or "", {}, 0))
        stages[row["stage"]] = row["n"]
        groups[row[key]] = (label, stages, out + row["out"])
    found = [
        Coverage(label, "0" if group is None else str(group), stages, out)
        for group, (label, stages, out) in groups.items()
    ]
    return sorted(found, key=lambda c: (c.key == "0", c.pct, c.label))


def zones_of(campaign_id: int) -> list[CampaignZone]:
    """A campaign's zones by name, with their people."""
    found = CampaignZone.objects.filter(campaign_id=campaign_id)
    return list(found.select_related("branch", "home_branch", "owner").order_by("name", "id"))


def of_others(actor: Actor, found: CampaignZone) -> int:
    """Members of a given zone, seen by the actor, that its manager does not look after and so does not see."""
    if found.owner_id is None:
        return 0
    held = members_of(actor, found.campaign_id).filter(zone=found)
    return held.exclude(stage__in=REACHED["settled"]).exclude(customer__responsible=found.owner_id).count()


# -- members --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemberQuery:
    """What the list of members shows; "" means all. `reached`: a step of REACHED, `stage`: exactly this one; `zone`,
    `branch`, `owner`: ids as text, "0" for none; `review`: "1" for exceptions that wait, or one of their codes; `left`:
    who keeps a phase of LEFT from being done; `text`: how a name or number begins."""

    stage: str = ""
    reached: str = ""
    zone: str = ""
    branch: str = ""
    owner: str = ""
    review: str = ""
    left: str = ""
    text: str = ""


def _chosen(actor: Actor, campaign_id: int, query: MemberQuery) -> QuerySet[CampaignMember]:
    found = members_of(actor, campaign_id)
    if query.stage:
        found = found.filter(stage=query.stage)
    if query.left:
        found = found.filter(LEFT[query.left])
    if query.text:
        found = found.filter(Q(customer__name__startswith=query.text) | Q(customer__number=query.text))
    if query.reached:
        found = found.filter(stage__in=REACHED[query.reached])
    for value, column in ((query.zone, "zone"), (query.branch, "zone__branch"), (query.owner, "zone__owner")):
        if value == "0":
            found = found.filter(**{f"{column}__isnull": True})
        elif value:
            found = found.filter(**{f"{column}_id": int(value)})
    if query.review:
        found = found.filter(_TO_REVIEW)
        if query.review != "1":
            found = found.filter(exceptions__contains=[query.review])
    return found


_ROW = ("customer__home_branch", "customer__responsible", "zone__owner", "rating", "case", "batch")


def member_page(
    actor: Actor, campaign_id: int, query: MemberQuery, *, after: int = 0
) -> tuple[list[CampaignMember], int]:
    """(a page of members by id, the id to go on after or 0)."""
    found = _chosen(actor, campaign_id, query).filter(pk__gt=after).select_related(*_ROW)
    rows = list(found.defer("rating__content").order_by("pk")[: PAGE + 1])
    return rows[:PAGE], rows[PAGE - 1].pk if len(rows) > PAGE else 0


def member_count(actor: Actor, campaign_id: int, query: MemberQuery) -> int:
    return _chosen(actor, campaign_id, query).count()


def ready_count(actor: Actor, campaign_id: int, query: MemberQuery) -> int:
    """Members of the query that a batch would take: no exception, in no batch, in no case."""
    return _chosen(actor, campaign_id, query).filter(is_exception=False, batch=None, case=None).count()


def member(actor: Actor, member_id: int) -> CampaignMember:
    """One whom the actor sees, with everything its trail is made of. Raises CampaignMember.DoesNotExist."""
    found = CampaignMember.objects.visible_to(actor).select_related(
        "campaign__product", "campaign__opened_by", "zone__branch", "zone__owner", "customer__home_branch",
        "customer__responsible", "rating__generated_by", "rating__submitted_by", "rating__decided_by",
        "calculation__created_by", "batch__proposed_by", "batch__decided_by", "case__line", "case__prepared_by",
        "settled_by",
    )  # fmt: skip
    one: CampaignMember = found.defer("rating__content", "calculation__content", "batch__content").get(
        pk=member_id
    )
    return one


def member_of_case(actor: Actor, case: CreditCase) -> CampaignMember | None:
    """Whom of a campaign a case settles, in a batch or by itself; None for a case of no campaign, or of one who is not seen."""
    found = CampaignMember.objects.visible_to(actor).filter(customer_id=case.customer_id, case_id=case.pk)
    return found.select_related("campaign", "zone", "batch").defer("batch__content").first()


def exception_counts(actor: Actor, campaign_id: int) -> dict[str, int]:
    """code -> exceptions that wait, most frequent first."""
    counts: dict[str, int] = {}
    seen = members_of(actor, campaign_id).filter(_TO_REVIEW)
    for codes in seen.values_list("exceptions", flat=True):
        for code in codes:
            counts[code] = counts.get(code, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


# -- the phone list -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Visit:
    """A household to visit: where, how complete what is known is, and what is missing."""

    member: CampaignMember
    address: str
    pct: int
    missing: list[Field]
    has_draft: bool


def visits(actor: Actor, found: CampaignZone, *, limit: int = 100) -> list[Visit]:
    """Members of a zone that are still to be collected: nearly complete ones first, neighbours together."""
    listed = members_of(actor, found.campaign_id).filter(zone=found, stage=MemberStage.LISTED)
    rows = list(listed.select_related("customer").order_by("pk")[:500])
    ids = [m.customer_id for m in rows]
    addresses = {
        a.customer_id: f"{a.region}{a.line}"
        for a in Address.objects.visible_to(actor).filter(customer_id__in=ids).order_by("-kind")
    }
    forms: dict[int, InformationForm] = {}
    known = InformationForm.objects.filter(customer_id__in=ids)
    for form in known.order_by("customer_id", "id"):
        forms[form.customer_id] = form  # a draft is newer than what was submitted
    needed = needed_of(found.campaign.kind)
    asked = [f for f in fields_of(found.campaign.kind).values() if f.weight]
    asked.sort(key=lambda f: f.code not in needed)
    result = []
    for one in rows:
        held = forms.get(one.customer_id)
        filled = set(read_values(held.values)) if held else set()
        result.append(
            Visit(
                one, addresses.get(one.customer_id, ""), held.completeness_pct if held else 0,
                [f for f in asked if f.code not in filled],
                held is not None and held.status == CollectionStatus.DRAFT,
            )
        )  # fmt: skip
    return sorted(result, key=lambda v: (v.address, -v.pct, v.member.pk))[:limit]


# -- batches and runs -----------------------------------------------------------------------------------------------


def batches_of(actor: Actor, campaign_id: int, zone_id: int | None = None) -> list[CampaignBatch]:
    """A campaign's batches of zones of which the actor sees members: those that wait first, then the newest."""
    seen = members_of(actor, campaign_id).order_by().values("zone_id")
    found = CampaignBatch.objects.filter(campaign_id=campaign_id, zone__in=seen).defer("content")
    if zone_id is not None:
        found = found.filter(zone_id=zone_id)
    waits_first = Case(When(status=BatchStatus.PROPOSED, then=0), default=1)
    return list(
        found.select_related("zone", "proposed_by", "decided_by").order_by(waits_first, "-id")[:MOST_BATCHES]
    )


def newest_run(pipeline: str, key: str) -> Run | None:
    """The newest run of a campaign's or a batch's job."""
    return Run.objects.filter(pipeline=pipeline, key=key).order_by("-id").first()


def unzoned_branches(actor: Actor, campaign_id: int) -> list[tuple[OrgUnit, int]]:
    """(home branch, members whom the actor sees without a zone), most first: what is still to be cut into zones."""
    rows = (
        members_of(actor, campaign_id)
        .filter(zone=None)
        .order_by()
        .values_list("customer__home_branch_id")
        .annotate(n=Count("id"))
    )
    counts: dict[int, int] = {unit: n for unit, n in rows if unit is not None}
    units = {u.pk: u for u in OrgUnit.objects.filter(pk__in=counts)}
    return sorted(
        ((units[k], n) for k, n in counts.items() if k in units), key=lambda row: (-row[1], row[0].name)
    )
