"""Batch approval: one signature over exactly what was shown, by another person, within his authority; nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from credit_rating.models import (
    CampaignBatch,
    CampaignMember,
    CreditCase,
    CreditLine,
    Opinion,
    Rating,
    StaffRelation,
)
from credit_rating.selectors import campaign_batches, campaign_review
from credit_rating.selectors.cases import asked_of
from credit_rating.services.campaigns import batches, members, rating
from credit_rating.services.campaigns.batches import StaleBatch
from crm_site.jobs.models import Run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Role, system_actor
from crm_site.lib.tenancy import bank
from crm_site.work.models import Notification
from tests.conftest import NOW, TODAY, House, Person, hire
from tests.credit_rating import campaign as camp
from tests.credit_rating.campaign import GOOD, Season, household, opened, run_here, stand
from tests.credit_rating.campaign import members as members_of
from tests.credit_rating.lines import a_line, a_product

D = Decimal
LATER = NOW + dt.timedelta(hours=2)
REFUSALS = (DomainError, PermissionDenied, IntegrityError)


def ready(season: Season) -> Season:
    """Rated, and nobody an exception."""
    run = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
    )
    run_here(run)
    return season


@pytest.fixture
def season(inside: House) -> Season:
    return ready(opened(Season(inside), 3))


def propose(season: Season, person: Person | None = None) -> CampaignBatch:
    who = person or season.rm
    return batches.propose_batch(who.actor, zone_id=season.zone.pk, today=TODAY, now=NOW)[0]


def sign(
    person: Person, batch: CampaignBatch, *, seen: str | None = None, today: dt.date = TODAY
) -> tuple[CampaignBatch, Run]:
    shown = campaign_batches.list_of(person.actor, batch, today).hash if seen is None else seen
    return batches.approve_batch(
        person.actor, batch_id=batch.pk, seen=shown, text="Seen and weighed.", today=today, now=LATER
    )


def nothing_happened(season: Season) -> bool:
    return not (
        CreditLine.objects.filter(customer__in=season.households).exists()
        or Opinion.objects.exists()
        or Rating.objects.filter(status="approved").exists()
    )


# -- cheats ---------------------------------------------------------------------------------------------------------


def proposer_signs(season: Season) -> object:
    """A branch manager proposes the batch and signs it."""
    return sign(season.manager, propose(season, season.manager))


def starter_signs(season: Season) -> object:
    """The branch manager has started the run that rated them, somebody else proposes."""
    for customer in season.households:
        camp.collect(season.rm, customer, {**GOOD, "land_mu": "20"})
    run = rating.start_rating(
        season.manager.actor, campaign_id=season.campaign.pk, zone_id=season.zone.pk, day=TODAY, now=LATER
    )
    run_here(run)
    return sign(season.manager, propose(season))


def manager_of_another_branch(season: Season) -> object:
    return sign(hire(season.house, "far", Role.BRANCH_MANAGER, season.house.south), propose(season))


def reviewer_of_headquarters(season: Season) -> object:
    """The branch's stage is the branch's."""
    return sign(hire(season.house, "hq", Role.CREDIT_REVIEWER, season.house.head_office), propose(season))


def relationship_manager(season: Season) -> object:
    return sign(season.rm, propose(season))


def a_job(season: Season) -> object:
    batch = propose(season)
    return batches.approve_batch(
        system_actor(season.house.id, "night"), batch_id=batch.pk, seen=batch.content_hash, text="x", today=TODAY,
        now=LATER,
    )  # fmt: skip


def without_a_word(season: Season) -> object:
    batch = propose(season)
    shown = campaign_batches.list_of(season.manager.actor, batch, TODAY).hash
    return batches.approve_batch(
        season.manager.actor, batch_id=batch.pk, seen=shown, text=" ", today=TODAY, now=LATER
    )


def another_hash(season: Season) -> object:
    return sign(season.manager, propose(season), seen="0" * 64)


def straight_into_the_table(season: Season) -> object:
    """The proposer writes himself as the one who decided."""
    batch = propose(season)
    with transaction.atomic():
        return CampaignBatch.objects.filter(pk=batch.pk).update(
            status="approved", decided_by=batch.proposed_by_id, decided_at=LATER, content={}, content_hash="x"
        )


def unsigned(season: Season) -> object:
    """Carrying out what nobody has signed."""
    batch = propose(season)
    first = members_of(season)[0].pk
    batches.carry_out(batch_id=batch.pk, members=(first, first + 99), today=TODAY, now=LATER, run_id=1)
    raise PermissionDenied("nothing was carried out")


def signed_list_changed(season: Season) -> object:
    """The signed list is changed in the table afterwards."""
    batch, _run = sign(season.manager, propose(season))
    with transaction.atomic():
        return CampaignBatch.objects.filter(pk=batch.pk).update(content={"rows": []})


def more_than_signed(season: Season) -> object:
    """After the signature a member's line is raised in the table: it is not what was signed."""
    batch, run = sign(season.manager, propose(season))
    CampaignMember.objects.filter(batch=batch).update(proposed=D(199_000))
    run_here(run)
    raise PermissionDenied("nothing was opened")


def approved_without_a_case(season: Season) -> object:
    with transaction.atomic():
        return CampaignMember.objects.filter(pk=members_of(season)[0].pk).update(stage="approved")


def left_the_bank(season: Season) -> object:
    """Who signed has lost his role before it is carried out."""
    from crm_site.accounts.models import RoleGrant

    _batch, run = sign(season.manager, propose(season))
    RoleGrant.objects.filter(staff=season.manager.staff).update(to_date=TODAY - dt.timedelta(days=1))
    run_here(run)
    raise PermissionDenied("nothing was opened")


CHEATS = (
    proposer_signs, starter_signs, manager_of_another_branch, reviewer_of_headquarters, relationship_manager, a_job,
    without_a_word, another_hash, straight_into_the_table, unsigned, signed_list_changed, more_than_signed,
    approved_without_a_case, left_the_bank,
)  # fmt: skip


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda c: c.__name__)
def test_no_cheat_opens_a_line(season: Season, cheat: Callable[[Season], object]) -> None:
    with pytest.raises(REFUSALS):
        cheat(season)
    assert nothing_happened(season)


# -- the signature --------------------------------------------------------------------------------------------------


def test_the_examiner_finds_the_whole_trail(season: Season) -> None:
    batch, run = sign(season.manager, propose(season))
    run_here(run)
    batch.refresh_from_db()
    for member in members_of(season):
        case, row = member.case, next(r for r in batch.content["rows"] if r["member"] == member.pk)
        assert case is not None and member.rating is not None and member.calculation is not None
        assert (case.status, case.prepared_by_id, case.route) == ("approved", season.rm.staff.pk, ["branch"])
        assert batch.content_hash in case.investigation and batch.number in case.investigation
        assert case.investigation.startswith("集中授信")  # a job has no reader: the bank's own language
        [opinion] = Opinion.objects.filter(case=case)
        assert (opinion.staff_id, opinion.dossier_hash) == (season.manager.staff.pk, case.dossier_hash)
        assert (member.rating.decided_by_id, member.rating.submitted_by_id) == (
            season.manager.staff.pk, season.rm.staff.pk,
        )  # fmt: skip
        assert (row["amount"], row["calculation_hash"]) == (str(case.amount), member.calculation.content_hash)
        assert case.calculation_id == member.calculation_id and case.rating_id == member.rating_id
    # One notice of the batch, not one for each case and rating.
    unread = Notification.objects.filter(staff=season.rm.staff, read_at=None).values_list("code", flat=True)
    assert sorted(unread) == ["campaign.batch_decided", "campaign.zone_given"]


def test_the_second_approver_comes_too_late_and_a_double_click_is_one(season: Season) -> None:
    batch = propose(season)
    _batch, run = sign(season.manager, batch)
    with pytest.raises(Conflict):
        sign(season.deputy, batch)
    run_here(run)
    again = sign(season.manager, batch, seen="whatever")[1]
    assert run_here(again) == (0, 0) and CreditLine.objects.count() == 3


def test_before_the_signature_a_member_is_asked_by_what_it_is_after_it(
    season: Season, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the customer then has, its other lines included: nobody falls out who has been signed for."""
    batch = propose(season)
    other = a_line(season.house, customer=season.households[0], product=a_product("OTHER"))
    asked: dict[int, Decimal] = {}
    hands_on = campaign_batches.hands_on

    def noted(amounts: dict[int, Decimal], day: dt.date) -> dict[int, set[tuple[int, str]]]:
        asked.update(amounts)
        return hands_on(amounts, day)

    monkeypatch.setattr(campaign_batches, "hands_on", noted)
    campaign_batches.list_of(season.manager.actor, batch, TODAY)
    member = next(m for m in members_of(season) if m.customer_id == other.customer_id)
    case = campaign_review.case_of(season.campaign, member, other.customer, None, "CNY")
    assert asked[other.customer_id] == asked_of(case, TODAY).amount == member.proposed + other.limit


def test_a_currency_without_a_rate_keeps_nobody_from_reading_the_list(season: Season) -> None:
    batch = propose(season)
    a_line(season.house, customer=season.households[0], product=a_product("OTHER"), currency="USD")
    shown = campaign_batches.list_of(season.manager.actor, batch, TODAY)
    assert len(shown.rows) == len(members_of(season))


@pytest.mark.django_db(transaction=True)
def test_two_approvers_at_the_same_moment_sign_once(house: House) -> None:
    """Two leaders of the branch over two real connections: one signature, one run, the other is told."""
    with bank(house.id):
        season = ready(opened(Season(house), 2))
        batch = propose(season)
        people = (season.manager, season.deputy)
        seen = [campaign_batches.list_of(person.actor, batch, TODAY).hash for person in people]
    gate = Barrier(2)

    def one(place: int) -> str:
        try:
            with bank(house.id):
                gate.wait(30)
                sign(people[place], batch, seen=seen[place])
        except DomainError as error:
            return error.code
        else:
            return "signed"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(one, range(2)))
    with bank(house.id):
        batch.refresh_from_db()
        runs = Run.objects.filter(pipeline="campaign_approve").count()
    assert told[1] == "signed"
    assert told[0] != "signed"
    assert batch.decided_by_id in {person.staff.pk for person in people}
    assert runs == 1


def test_what_changes_between_shown_and_signed_falls_out_and_must_be_signed_anew(season: Season) -> None:
    batch = propose(season)
    shown = campaign_batches.list_of(season.manager.actor, batch, TODAY).hash
    poor = season.households[1]
    camp.collect(
        season.rm, poor, {**GOOD, "household_income": "42000", "household_debts": "560000", "record": "long"}
    )
    with pytest.raises(StaleBatch) as refused:
        sign(season.manager, batch, seen=shown)
    out = CampaignMember.objects.get(customer=poor)
    assert list(refused.value.dropped) == [out.pk] and "changed" in out.exceptions and out.batch_id is None
    assert nothing_happened(season)
    _batch, run = sign(season.manager, batch)
    run_here(run)
    assert set(CreditLine.objects.values_list("customer_id", flat=True)) == {
        season.households[0].pk, season.households[2].pk,
    }  # fmt: skip


def test_a_new_warning_between_signature_and_carrying_out_stops_nobody_else(season: Season) -> None:
    """A case for the product was opened meanwhile: that member falls out with its reason, the others get their lines."""
    batch, run = sign(season.manager, propose(season))
    busy = CampaignMember.objects.get(customer=season.households[0])
    CampaignMember.objects.filter(pk=busy.pk).update(batch=None)
    from credit_rating.services import cases

    terms = cases.Terms("new", season.campaign.product, "CNY", D(5000), 12, "Tools")
    cases.create_case(season.rm.actor, customer=season.households[0], terms=terms, now=NOW)
    CampaignMember.objects.filter(pk=busy.pk).update(batch=batch)
    run_here(run)
    busy.refresh_from_db()
    assert busy.exceptions == ["case_open"] and busy.batch_id is None and busy.reason
    assert CreditLine.objects.count() == 2


def test_own_customers_and_relatives_of_the_approver_fall_out(inside: House) -> None:
    season = opened(Season(inside), 3)
    own, cousin, _other = season.households
    type(own).objects.filter(pk=own.pk).update(responsible=season.manager.staff)
    StaffRelation.objects.create(
        staff=season.manager.staff, customer=cousin, basis="cousin", from_date=TODAY, entered_at=NOW
    )
    ready(season)
    batch = propose(season, season.deputy)
    shown = campaign_batches.list_of(season.manager.actor, batch, TODAY)
    assert {row.member.customer_id: row.why for row in shown.fallen} == {own.pk: "own", cousin.pk: "relative"}
    _batch, run = sign(season.manager, batch)
    run_here(run)
    assert CreditLine.objects.count() == 1
    assert CampaignMember.objects.get(customer=cousin).exceptions == ["relative"]


def test_what_is_beyond_the_branch_never_enters_a_batch(inside: House) -> None:
    """The matrix counts all that the customer then has: a standing line of another product lifts it over 300,000."""
    season = opened(Season(inside), 2)
    from tests.credit_rating.lines import a_product

    a_line(inside, customer=season.households[0], product=a_product("OTHER"), limit=D(250_000))
    ready(season)
    batch = propose(season)
    assert batch.proposed_count == 1
    assert CampaignMember.objects.get(customer=season.households[0]).exceptions == ["beyond_authority"]


def test_a_standing_line_is_raised_and_never_lowered_in_a_batch(inside: House) -> None:
    season = opened(Season(inside), 2)
    low, high = season.households
    for customer, limit in ((low, 10_000), (high, 190_000)):
        a_line(inside, customer=customer, product=season.campaign.product, limit=D(limit))
    camp.collect(season.rm, high, {**GOOD, "household_income": "90000"})
    ready(season)
    assert "lowered" in CampaignMember.objects.get(customer=high).exceptions
    _batch, run = sign(season.manager, propose(season))
    run_here(run)
    member = CampaignMember.objects.select_related("case").get(customer=low)
    assert member.case is not None and member.case.kind == "increase"
    assert CreditLine.objects.get(customer=low).limit == member.proposed


def test_returned_batches_are_rated_anew(season: Season) -> None:
    batch = propose(season)
    batches.return_batch(
        season.manager.actor, batch_id=batch.pk, text="Visit them again.", today=TODAY, now=LATER
    )
    assert {m.stage for m in members_of(season)} == {"collected"}
    assert set(Rating.objects.values_list("status", flat=True)) == {"returned"}
    run = rating.start_rating(
        season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=LATER
    )
    run_here(run)
    _batch, run = sign(season.manager, propose(season))
    run_here(run)
    assert CreditLine.objects.count() == 3


def test_taken_out_by_the_approver_it_is_decided_by_itself(season: Season) -> None:
    batch = propose(season)
    one = members_of(season)[0]
    before = campaign_batches.list_of(season.manager.actor, batch, TODAY).hash
    members.take_out(season.manager.actor, member_id=one.pk, reason="I know them.", now=NOW)
    assert campaign_batches.list_of(season.manager.actor, batch, TODAY).hash != before
    with pytest.raises(StaleBatch):
        sign(season.manager, batch, seen=before)
    _batch, run = sign(season.manager, batch)
    run_here(run)
    assert not CreditLine.objects.filter(customer=one.customer_id).exists()


def test_a_killed_chunk_goes_on_where_it_was(season: Season, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies when all is written but its end: its transaction is gone, the next one finds what is left."""
    batch, run = sign(season.manager, propose(season))
    real = batches.note_approved

    def dying(*_given: object) -> None:
        assert CreditLine.objects.count() == 3
        raise KeyboardInterrupt

    monkeypatch.setattr(batches, "note_approved", dying)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        run_here(run)
    assert nothing_happened(season)
    monkeypatch.setattr(batches, "note_approved", real)
    first, last = (members_of(season)[i].pk for i in (0, -1))
    assert batches.carry_out(
        batch_id=batch.pk, members=(first, first), today=TODAY, now=LATER, run_id=run.pk
    ) == (1, 1)
    assert batches.carry_out(
        batch_id=batch.pk, members=(first, last), today=TODAY, now=LATER, run_id=run.pk
    ) == (2, 2)
    assert CreditLine.objects.count() == 3 and CreditCase.objects.count() == 3


def test_a_batch_is_one_at_a_time_and_never_deleted(season: Season) -> None:
    batch = propose(season)
    with pytest.raises(Conflict):
        propose(season)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "delete from credit_rating_campaignbatch where bank_id = %s and id = %s",
            [season.house.id, batch.pk],
        )


def test_judging_reads_the_database_a_fixed_number_of_times(
    season: Season, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for i in range(3):
        stand(household(season, f"More {i}", GOOD))
    found = list(
        CampaignMember.objects.filter(campaign=season.campaign).select_related("rating", "calculation")
    )
    with django_assert_max_num_queries(9):
        campaign_review.judge(season.campaign, found, day=TODAY, currency="CNY")


def test_what_keeps_a_zone_from_its_batch_is_kept_and_said(season: Season) -> None:
    """Everybody has changed since the job: no batch, and each member says why; signed members are nobody's to propose."""
    for customer in season.households[:2]:
        camp.collect(season.rm, customer, {**GOOD, "household_income": "42000", "household_debts": "560000"})
    batch = propose(season)
    assert batch.proposed_count == 1
    sign(season.manager, batch)
    with pytest.raises(DomainError):
        propose(season)  # the third is signed for, though not carried out yet
    why = {m.customer_id: m.exceptions for m in members_of(season)}
    assert ["changed" in why[c.pk] for c in season.households] == [True, True, False]
