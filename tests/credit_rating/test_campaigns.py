"""A campaign from its list to its lines: who may do what, coverage that adds up, one rating as good as a thousand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from credit_rating.engine.campaigns import Rules, Seen, exceptions_of
from credit_rating.models import (
    CampaignMember,
    CampaignZone,
    CreditLine,
    LineCalculation,
    MemberStage,
    Rating,
    RelatedParty,
    Signal,
)
from credit_rating.policies.grades import GRADES
from credit_rating.selectors import calculations, campaign_batches, campaigns
from credit_rating.selectors import ratings as rating_selectors
from credit_rating.selectors.calculations import Terms, reckon
from credit_rating.selectors.campaigns import MemberQuery
from credit_rating.selectors.many import reckon_many
from credit_rating.services import cases, collection
from credit_rating.services.campaigns import batches, members, opening, rating, zones
from credit_rating.services.campaigns.rules import CampaignFault
from credit_rating.services.ratings import submit_rating
from crm_site.lib.errors import Conflict
from crm_site.lib.permissions import Role
from customers.models import Product, Relation
from tests.conftest import NOW, TODAY, House, hire
from tests.credit_rating import book
from tests.credit_rating import campaign as camp
from tests.credit_rating.campaign import GOOD, Season, household, opened, plan, run_here, stand
from tests.credit_rating.campaign import members as members_of
from tests.credit_rating.lines import a_line

D = Decimal
LATER = NOW + dt.timedelta(hours=2)


@pytest.fixture
def season(inside: House) -> Season:
    return opened(Season(inside))


def rated(season: Season) -> Season:
    run = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
    )
    run_here(run)
    return season


def test_a_zone_walks_from_the_list_to_its_lines(season: Season) -> None:
    assert {m.stage for m in members_of(season)} == {"collected"}
    rated(season)
    assert {(m.stage, tuple(m.exceptions)) for m in members_of(season)} == {("calculated", ())}
    batch, _why = batches.propose_batch(season.rm.actor, zone_id=season.zone.pk, today=TODAY, now=NOW)
    shown = campaign_batches.list_of(season.manager.actor, batch, TODAY)
    assert len(shown.rows) == 4 and not shown.fallen and not shown.against
    batch, run = batches.approve_batch(
        season.manager.actor, batch_id=batch.pk, seen=shown.hash, text="Seen.", today=TODAY, now=LATER
    )
    run_here(run)
    assert [(m.stage, m.reason) for m in members_of(season)] == [("approved", "")] * 4
    lines = CreditLine.objects.filter(customer__in=season.households)
    assert sum(line.limit for line in lines) == shown.total and lines.count() == 4
    assert {line.case_id for line in lines} == {m.case_id for m in members_of(season)}
    assert set(Rating.objects.values_list("status", flat=True)) == {"approved"}
    assert campaigns.coverage(season.rural.actor, season.campaign.pk).pct == 100


def test_the_job_reckons_exactly_what_one_form_would(inside: House) -> None:
    """Every content, hash and amount of the bulk path equals the single path's, odd customers included."""
    season = Season(inside)
    book.add_capital()
    weak = {**GOOD, "household_debts": "500000", "record": "long", "repute": "poor"}
    bare = {
        k: v for k, v in GOOD.items() if k not in ("repute", "land_mu", "household_debts", "household_wages")
    }
    odd = {
        **GOOD,
        "household_income": "33333.33",
        "household_costs": "11111.11",
        "household_debts": "77777.77",
    }
    people = [
        household(season, f"Kin {i}", v)
        for i, v in enumerate((GOOD, weak, bare, odd, GOOD, GOOD, GOOD, GOOD))
    ]
    for i, one in enumerate(people[:6]):
        stand(one, deposits=str(2000 * 3**i), loans="50000" if i % 2 else "0", days=40 if i == 1 else 0)
    with connection.cursor() as cursor:
        cursor.execute("select banyan_ensure_month('customers_monthend', '2026-06-30')")
        cursor.execute(
            "insert into customers_monthend (bank_id, month_end, customer_id, deposits_adb, deposits_balance, loans, aum, "
            "open_accounts, transactions, inflow, outflow, overdue_amount, days_past_due, value_tier, wealth_level) "
            "values (%s, '2026-06-30', %s, 0, 0, 100000, 0, 1, 0, 0, 0, 0, 12, 1, 1)",
            [inside.id, people[3].pk],
        )
    Relation.objects.create(customer=people[4], other=people[5], kind="common_control")
    RelatedParty.objects.create(
        customer=people[6], kind="director", from_date=TODAY, basis="board", entered_at=NOW
    )
    a_line(inside, customer=people[7], limit=D(30_000))
    found = reckon_many(people, kind="household", term_months=24, requested=D(200_000), day=TODAY)
    for one in people:
        bulk = found[one.pk]
        single = rating_selectors.assess(season.rm.actor, one, {}, day=TODAY)
        assert rating_selectors.as_content(bulk.assessed) == rating_selectors.as_content(single)
        line = reckon(season.rm.actor, one, Terms(single.grade, 24, D(200_000)), day=TODAY)
        assert calculations.as_content(bulk.reckoning) == calculations.as_content(line)
    assert {found[p.pk].assessed.missing for p in people} == {0, 1, 4}


def test_a_rating_of_the_job_is_a_rating_of_the_form(season: Season) -> None:
    rated(season)
    member = members_of(season)[0]
    assert member.rating is not None
    one = member.rating
    single = rating_selectors.as_content(
        rating_selectors.assess(season.rm.actor, member.customer, {}, day=TODAY)
    )
    assert one.content == single and one.is_whole
    assert (one.number, one.status, one.generated_by_id) == (
        f"PJ-{member.customer_id}-1", "draft", season.rural.staff.pk,
    )  # fmt: skip


def test_the_same_job_again_changes_nothing(season: Season) -> None:
    rated(season)
    before = list(Rating.objects.order_by("id").values_list("id", "status", "changed_at"))
    run = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=LATER
    )
    assert run_here(run) == (4, 0)
    assert list(Rating.objects.order_by("id").values_list("id", "status", "changed_at")) == before
    assert LineCalculation.objects.count() == 4


def test_new_information_gives_a_new_draft_and_the_old_one_gives_way(season: Season) -> None:
    rated(season)
    customer = season.households[0]
    camp.collect(season.rm, customer, {**GOOD, "household_income": "30000"})
    run = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=LATER
    )
    assert run_here(run)[0] == 4
    states = list(Rating.objects.filter(customer=customer).order_by("id").values_list("status", flat=True))
    assert states == ["replaced", "draft"]


def test_starting_twice_is_one_run_and_only_some_may_start(season: Season) -> None:
    first = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
    )
    second = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=LATER
    )
    assert first.pk == second.pk
    with pytest.raises(PermissionDenied):
        rating.start_rating(season.rm.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW)
    with pytest.raises(CampaignFault):
        rating.start_rating(
            season.manager.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
        )
    south = hire(season.house, "south_manager", Role.BRANCH_MANAGER, season.house.south)
    with pytest.raises(PermissionDenied):
        rating.start_rating(
            south.actor, campaign_id=season.campaign.pk, zone_id=season.zone.pk, day=TODAY, now=NOW
        )


def test_coverage_adds_up_and_every_number_is_its_list(inside: House) -> None:
    season = opened(Season(inside), 3)
    late = household(season, "Late", None)
    opening.list_members(
        season.rural.actor, campaign_id=season.campaign.pk, condition=None, numbers=[late.number], day=TODAY
    )
    rated(season)
    first = members_of(season)[0]
    members.set_aside(season.rm.actor, member_id=first.pk, stage="declined", reason="Needs none.", now=NOW)
    actor = season.rural.actor
    whole = campaigns.coverage(actor, season.campaign.pk)
    assert dict(whole.by_stage) == {"listed": 1, "calculated": 2, "declined": 1} and whole.pct == 25
    for by in ("zone", "branch", "owner"):
        rows = campaigns.coverage_by(actor, season.campaign.pk, by)
        assert sum(r.total for r in rows) == 4
        for row in rows:
            for step in campaigns.REACHED:
                query = MemberQuery(reached=step, **{by: row.key})
                assert campaigns.member_count(actor, season.campaign.pk, query) == row.reached(step), (
                    by,
                    step,
                )
    # A colleague of another branch sees nobody of it.
    south = hire(inside, "south_manager", Role.BRANCH_MANAGER, inside.south)
    assert campaigns.coverage(south.actor, season.campaign.pk).total == 0


def test_submitting_the_form_counts_when_it_is_complete_enough(inside: House) -> None:
    season = opened(Season(inside), 1)
    thin, whole = household(season, "Thin", None), household(season, "Whole", None)
    opening.list_members(
        season.rural.actor, campaign_id=season.campaign.pk, condition=None, numbers=[thin.number, whole.number], day=TODAY
    )  # fmt: skip
    book_of = {"record": "clean"}, GOOD
    for customer, typed in zip((thin, whole), book_of, strict=True):
        collection.save_draft(
            season.rm.actor, customer=customer, typed=typed, base={}, source="interview", now=NOW, today=TODAY
        )
        collection.submit_form(season.rm.actor, customer=customer, now=NOW)
    stages = {m.customer_id: m.stage for m in members_of(season)}
    assert (stages[thin.pk], stages[whole.pk]) == ("listed", "collected")
    visits = campaigns.visits(season.rm.actor, season.zone)
    assert visits == []  # both are in no zone yet
    zones.add_zone(
        season.rural.actor,
        campaign_id=season.campaign.pk,
        name="Rest",
        home_branch=None,
        region="Willow",
        numbers=[],
    )
    rest = CampaignZone.objects.select_related("campaign").get(name="Rest")
    [visit] = campaigns.visits(season.rm.actor, rest)
    assert visit.member.customer_id == thin.pk and visit.pct > 0 and len(visit.missing) > 5


def test_a_customer_is_in_one_open_campaign_of_its_kind(season: Season) -> None:
    other = opening.create_campaign(season.rural.actor, plan=plan(name="Autumn"), now=NOW)
    numbers = [season.households[0].number, "nobody", "nobody"]
    listed = opening.list_members(
        season.rural.actor, campaign_id=other.pk, condition=None, numbers=numbers, day=TODAY
    )
    assert (listed.added, listed.elsewhere, listed.unknown) == (0, 1, ["nobody"])
    with pytest.raises(IntegrityError), transaction.atomic():
        CampaignMember.objects.create(campaign=other, customer=season.households[0], kind="household")
    opening.close_campaign(season.rural.actor, campaign_id=season.campaign.pk, now=LATER)
    again = opening.list_members(
        season.rural.actor, campaign_id=other.pk, condition={"fact": "kind", "op": "=", "value": "household"}, numbers=[], day=TODAY
    )  # fmt: skip
    assert (again.added, again.elsewhere) == (4, 0)


def test_a_zone_has_one_branch_and_one_owner(season: Season) -> None:
    sub = hire(season.house, "south_manager", Role.BRANCH_MANAGER, season.house.south)
    with pytest.raises(CampaignFault):  # its customers are another branch's
        zones.take_zone(sub.actor, zone_id=season.zone.pk, now=NOW)
    far = hire(season.house, "far_rm", Role.RELATIONSHIP_MANAGER, season.house.south)
    with pytest.raises(CampaignFault):
        zones.give_zone(
            season.manager.actor, zone_id=season.zone.pk, staff_id=far.staff.pk, now=NOW, today=TODAY
        )
    with pytest.raises(PermissionDenied):
        zones.give_zone(
            season.rm.actor, zone_id=season.zone.pk, staff_id=season.rm.staff.pk, now=NOW, today=TODAY
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        CampaignZone.objects.filter(pk=season.zone.pk).update(branch=None)


def test_another_line_department_runs_no_rural_campaign(season: Season) -> None:
    corporate = hire(
        season.house, "wholesale", Role.LINE_DEPARTMENT, season.house.head_office, line_department="corporate"
    )
    with pytest.raises(CampaignFault):
        opening.create_campaign(corporate.actor, plan=plan(name="Theirs"), now=NOW)
    Product.objects.update(customer_kinds="corporate")
    with pytest.raises(CampaignFault) as refused:
        opening.create_campaign(season.rural.actor, plan=plan(name="Not theirs"), now=NOW)
    assert list(refused.value.fields) == ["product"]
    with pytest.raises(PermissionDenied):
        opening.close_campaign(corporate.actor, campaign_id=season.campaign.pk, now=NOW)


RULES = Rules("BB", D(200_000), 2, 30, frozenset({"override", "warning", "class", "related", "lowered"}))


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (Seen("BBB", D(200_000), TODAY, missing=2), ()),
        (Seen("BB", D(200_000), TODAY), ("grade",)),
        (Seen("A", D("200000.01"), TODAY, missing=3), ("amount", "missing")),
        (Seen("A", D(0), TODAY), ("no_line",)),
        (Seen("A", D(10_000), TODAY - dt.timedelta(days=31)), ("old",)),
        (Seen("A", D(10_000), TODAY, standing_limit=D(20_000)), ("lowered",)),
        (Seen("A", D(20_000), TODAY, standing_limit=D(20_000)), ()),
        (Seen("", None, None), ("not_rated",)),
        (Seen("A", D(1), TODAY, facts=frozenset({"warning", "class", "related", "override"}),
              blocks=frozenset({"case_open"})), ("case_open", "override", "warning", "class", "related")),
    ],
)  # fmt: skip
def test_what_is_looked_at_one_by_one(seen: Seen, codes: tuple[str, ...]) -> None:
    assert exceptions_of(seen, RULES, GRADES, TODAY) == codes


def test_exceptions_are_found_and_go_the_way_of_an_ordinary_case(inside: House) -> None:
    season = opened(Season(inside), 3)
    warned, insider, _fine = season.households
    Signal.objects.create(
        customer=warned, code="overdue", level="risk", owner_kind="manager", opened_on=TODAY, due_on=TODAY
    )
    RelatedParty.objects.create(
        customer=insider, kind="relative", from_date=TODAY, basis="son", entered_at=NOW
    )
    rated(season)
    why = {m.customer_id: tuple(m.exceptions) for m in members_of(season)}
    assert why[warned.pk] == ("warning",) and why[insider.pk] == ("related",)
    batch, _out = batches.propose_batch(season.rm.actor, zone_id=season.zone.pk, today=TODAY, now=NOW)
    assert batch.proposed_count == 1
    one = CampaignMember.objects.get(customer=warned)
    case = members.make_case(season.rm.actor, member_id=one.pk, now=NOW)
    assert members.make_case(season.rm.actor, member_id=one.pk, now=NOW).pk == case.pk
    assert case.amount == one.proposed and case.calculation_id == one.calculation_id
    cases.withdraw_case(season.rm.actor, case_id=case.pk, now=LATER, today=TODAY)
    one.refresh_from_db()
    assert one.case_id is None and one.stage == MemberStage.CALCULATED


def test_an_override_by_hand_is_an_exception(season: Season) -> None:
    rated(season)
    found = members_of(season)[0].rating
    assert found is not None
    lower = GRADES[GRADES.index(found.model_grade) + 1]
    submit_rating(
        season.rm.actor,
        rating_id=found.pk,
        seen=found.stamp,
        grade=lower,
        reason="Gambles.",
        day=TODAY,
        now=NOW,
    )
    run = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=LATER
    )
    run_here(run)
    member = members_of(season)[0]
    assert "override" in member.exceptions and member.calculation is not None
    assert member.calculation.grade == lower and member.rating_id == found.pk


def test_set_aside_needs_a_reason_and_can_be_taken_back(season: Season) -> None:
    one = members_of(season)[0]
    with pytest.raises(CampaignFault):
        members.set_aside(season.rm.actor, member_id=one.pk, stage="exempt", reason=" ", now=NOW)
    members.set_aside(season.rm.actor, member_id=one.pk, stage="exempt", reason="Moved to town.", now=NOW)
    assert members.take_back(season.rm.actor, member_id=one.pk, day=TODAY).stage == MemberStage.COLLECTED
    opening.close_campaign(season.rural.actor, campaign_id=season.campaign.pk, now=LATER)
    with pytest.raises(Conflict):
        members.set_aside(season.rm.actor, member_id=one.pk, stage="exempt", reason="Late.", now=LATER)
