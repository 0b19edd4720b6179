"""A signed batch is carried out set-based: each member gets exactly what the services would give it one by one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from credit_rating.models import (
    CampaignMember,
    CaseDossier,
    CaseMaker,
    CaseSeen,
    CreditCase,
    CreditLine,
    ExternalExposure,
    LineEvent,
    Opinion,
    Rating,
    RelatedParty,
)
from credit_rating.models.calculations import content_hash
from credit_rating.selectors import campaign_batches
from credit_rating.selectors.exposure import counting_each_other
from credit_rating.services import cases
from credit_rating.services.campaigns import batches, opening, rating, zones
from crm_site.audit.models import Entry
from crm_site.jobs.models import Run
from crm_site.work.models import Notification
from customers.models import Relation, Standing
from tests.conftest import NOW, TODAY, House
from tests.credit_rating import book
from tests.credit_rating.campaign import GOOD, Season, household, opened, plan, run_here, stand
from tests.credit_rating.campaign import members as members_of
from tests.credit_rating.lines import a_line
from tests.customers.factories import make_customer

D = Decimal
LATER = NOW + dt.timedelta(hours=2)


def a_mixed_village(house: House) -> Season:
    """Households of every sort that may stand in one batch: alone, with a line, a family, another bank, a case before,
    a late loan."""
    season = Season(house)
    book.add_capital()
    season.households = [household(season, f"Family {i}", GOOD) for i in range(8)]
    for i, one in enumerate(season.households):
        stand(one, deposits=str(20_000 + 1000 * i))
    _alone, standing, kin, elsewhere, before, late, _second, foreign = season.households
    product = plan().product
    a_line(house, customer=standing, product=product, limit=D(50_000))
    head = make_customer("Rice mill", kind="corporate", home_branch=house.north)
    Relation.objects.create(customer=head, other=kin, kind="legal_representative")
    for lender, amount in (("Zhe bank", "8000"), ("An bank", "3000")):
        ExternalExposure.objects.create(
            customer=elsewhere, source="credit_bureau", report_date=TODAY - dt.timedelta(9), lender=lender,
            reference=lender[:2], kind="loan", currency="CNY", granted=D(amount), outstanding=D(amount), overdue=D(0), source_as_of=NOW,
        )  # fmt: skip
    terms = cases.Terms("new", product, "CNY", D(9_000), 12, "Seed")
    ended = cases.create_case(season.rm.actor, customer=before, terms=terms, now=NOW)
    cases.withdraw_case(season.rm.actor, case_id=ended.pk, now=NOW, today=TODAY)
    Standing.objects.filter(customer=late).update(loans=D(5_000), overdue_amount=D(10), days_past_due=2)
    a_line(house, customer=foreign, limit=D(7_000))  # for another product
    season.campaign = opening.create_campaign(season.rural.actor, plan=plan(), now=NOW)
    numbers = [one.number for one in season.households]
    opening.list_members(
        season.rural.actor, campaign_id=season.campaign.pk, condition=None, numbers=numbers, day=TODAY
    )
    season.zone, _n = zones.add_zone(
        season.rural.actor, campaign_id=season.campaign.pk, name="Willow village", home_branch=house.north, region="",
        numbers=numbers,
    )  # fmt: skip
    season.campaign = opening.open_campaign(season.rural.actor, campaign_id=season.campaign.pk, now=NOW)
    zones.take_zone(season.manager.actor, zone_id=season.zone.pk, now=NOW)
    zones.give_zone(
        season.manager.actor, zone_id=season.zone.pk, staff_id=season.rm.staff.pk, now=NOW, today=TODAY
    )
    run_here(
        rating.start_rating(
            season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
        )
    )
    return season


def signed(season: Season) -> Run:
    batch, _out = batches.propose_batch(season.rm.actor, zone_id=season.zone.pk, today=TODAY, now=NOW)
    seen = campaign_batches.list_of(season.manager.actor, batch, TODAY).hash
    return batches.approve_batch(
        season.manager.actor, batch_id=batch.pk, seen=seen, text="Seen and weighed.", today=TODAY, now=LATER
    )[1]


def _row(one: models.Model, apart: Iterable[str]) -> dict[str, Any]:
    skip = {"id", "at", "stage_since", *apart}
    fields = [f for f in one._meta.concrete_fields if f.name not in skip and not f.name.endswith("_at")]
    return {f.attname: getattr(one, f.attname) for f in fields}


def all_that_came_of_it(season: Season) -> dict[str, Any]:
    """Every row that a carried out batch leaves, by numbers instead of ids and without the moment."""
    made = {c.pk: c.number for c in CreditCase.objects.all()}
    lines = {x.pk: (x.number, x.product_id) for x in CreditLine.objects.all()}

    def of_case(model: Any) -> list[Any]:
        rows = [(made[one.case_id], _row(one, {"case"})) for one in model.objects.all()]
        return sorted(rows, key=str)

    return {
        "cases": [_row(c, {"line"}) | {"line": lines.get(c.line_id or 0)} for c in CreditCase.objects.order_by("serial")],
        "dossiers": of_case(CaseDossier), "makers": of_case(CaseMaker), "seen": of_case(CaseSeen),
        "opinions": of_case(Opinion),
        "lines": [
            _row(x, {"case_id", "terms_case_id"}) | {"cases": (made.get(x.case_id or 0), made.get(x.terms_case_id or 0))}
            for x in CreditLine.objects.order_by("serial")
        ],
        "events": sorted(
            ((lines[e.line_id], made.get(e.case_id or 0), _row(e, {"line", "case_id"})) for e in LineEvent.objects.all()),
            key=str,
        ),
        "ratings": [_row(r, ()) for r in Rating.objects.order_by("id")],
        "members": [_row(m, {"case"}) | {"case": made.get(m.case_id or 0)} for m in members_of(season)],
    }  # fmt: skip


def test_together_leaves_exactly_what_one_by_one_leaves(
    inside: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    season = a_mixed_village(inside)
    run = signed(season)
    real = batches._together
    point = transaction.savepoint()
    monkeypatch.setattr(batches, "_together", lambda *_given: set())
    assert run_here(run) == (8, 8)
    told = all_that_came_of_it(season)
    transaction.savepoint_rollback(point)
    assert not Opinion.objects.exists()
    at_once: list[int] = []

    def counted(*given: Any) -> set[int]:
        found = real(*given)
        at_once.extend(found)
        return found

    monkeypatch.setattr(batches, "_together", counted)
    assert run_here(run) == (8, 8)
    assert len(at_once) == 8  # nobody went the way of one
    found = all_that_came_of_it(season)
    for what in told:
        assert found[what] == told[what], what
    assert CreditLine.objects.filter(product=season.campaign.product, status="active").count() == 8
    # Each dossier is what its hash says, and each step is in the record as the batch's, by who took it.
    assert all(content_hash(d.content) == d.hash for d in CaseDossier.objects.all())
    number = season.campaign.batches.get().number
    acts = Entry.objects.filter(object_table="credit_rating_creditcase", reason=number)
    assert set(acts.values_list("actor_id", "action")) == {
        (season.rm.staff.pk, "insert"), (season.rm.staff.pk, "update"), (season.manager.staff.pk, "update"),
    }  # fmt: skip
    told_of = Notification.objects.filter(code__in=("case.ended", "rating.decided")).exclude(created_at=NOW)
    assert not told_of.exists()  # the batch's one notice is enough
    assert run_here(run) == (0, 0)  # delivered once more


def test_whom_the_database_refuses_falls_out_and_the_others_go_on(inside: House) -> None:
    """After the signature somebody makes a case for one of them: its number is taken, nobody else's."""
    season = a_mixed_village(inside)
    run = signed(season)
    first = season.households[0]
    terms = cases.Terms("new", season.campaign.product, "CNY", D(9_000), 12, "Seed")
    cases.create_case(season.rm.actor, customer=first, terms=terms, now=LATER)
    run_here(run)
    by_customer = {m.customer_id: m for m in members_of(season)}
    out = by_customer.pop(first.pk)
    assert out.exceptions == ["case_open"] and out.batch_id is None and out.stage == "calculated"
    assert out.rating is not None and out.rating.status == "submitted"
    assert {m.stage for m in by_customer.values()} == {"approved"}
    assert not CreditLine.objects.filter(customer=first).exists()


def test_carrying_out_asks_the_database_as_often_for_many_as_for_few(inside: House) -> None:
    season = a_mixed_village(inside)
    Relation.objects.all().delete()  # who hangs together with others is read by himself
    CreditLine.objects.all().delete()
    run = signed(season)
    keys = [m.pk for m in CampaignMember.objects.filter(batch__isnull=False).order_by("pk")]

    def asked(first: int, last: int) -> int:
        with CaptureQueriesContext(connection) as caught:
            batches.carry_out(
                batch_id=int(run.params["batch"]),
                members=(first, last),
                today=TODAY,
                now=LATER,
                run_id=run.pk,
            )
        # Without the bank's currency, which a process keeps for seconds.
        return sum('FROM "accounts_bank"' not in query["sql"] for query in caught.captured_queries)

    few = asked(keys[0], keys[1])
    assert asked(keys[2], keys[-1]) <= few


def test_whom_a_group_ties_is_approved_one_after_the_other(inside: House) -> None:
    """Two of a group, each within its cap, together beyond it: the second falls out, as it would one by one."""
    season = opened(Season(inside), 3)
    one, other, _third = season.households
    Relation.objects.create(customer=one, other=other, kind="common_control")
    run_here(
        rating.start_rating(
            season.rural.actor, campaign_id=season.campaign.pk, zone_id=None, day=TODAY, now=NOW
        )
    )
    asked = {m.customer_id: m.proposed for m in members_of(season)}
    room = int(max(asked[one.pk] or 0, asked[other.pk] or 0)) * 12
    book.add_capital(room, room)
    run_here(signed(season))
    stages = {m.customer_id: (m.stage, m.exceptions) for m in members_of(season)}
    assert stages[one.pk] == ("approved", [])
    assert stages[other.pk] == ("calculated", ["beyond_authority"])


def test_related_parties_count_each_other_and_nobody_else(inside: House) -> None:
    one, other, stranger = (make_customer(name, home_branch=inside.north) for name in ("Ada", "Bo", "Cy"))
    for customer in (one, other):
        RelatedParty.objects.create(
            customer=customer, kind="director", from_date=TODAY, basis="board", entered_at=NOW
        )
    limits = {customer.pk: D(1_000) for customer in (one, other, stranger)}
    assert counting_each_other(limits, TODAY) == set()  # without capital no cap is checked
    book.add_capital()
    assert counting_each_other(limits, TODAY) == {one.pk, other.pk}
    del limits[one.pk]
    assert counting_each_other(limits, TODAY) == set()
