"""A tier policy shows what it would do before a second person publishes it: counted over the book, opening its lists."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal

from crm_site.accounts.versions import VersionStatus
from crm_site.lib.tenancy import bank
from customers.models import Standing
from segmentation.models import TierPolicy
from segmentation.selectors.effect import effect_of
from tests.conftest import House, Person
from tests.segmentation.conftest import NOVEMBER
from tests.segmentation.test_pages import (
    THRESHOLDS,
    SignIn,
    editor,
    listed,
)

HIGHER = {**THRESHOLDS, "high-deposits_adb": "3000000", "mid-deposits_adb": "600000"}


def rank(standing: Standing, high: int, mid: int) -> int:
    """What the draft's words say, reckoned apart."""
    if standing.deposits_adb >= high or standing.loans >= 2_000_000:
        return 3
    return 2 if standing.deposits_adb >= mid or standing.loans >= 500_000 else 1


def drafted(house: House, author: Person, client_for: SignIn, found: TierPolicy) -> TierPolicy:
    client_for(author).post(f"/segmentation/policies/{found.pk}/edit/", HIGHER)
    with bank(house.id):
        return TierPolicy.objects.get(status=VersionStatus.DRAFT)


def test_a_draft_shows_who_would_move_and_opens_the_lists(
    booked: House,
    policy: TierPolicy,
    hq_risk: Person,
    branch_manager: Person,
    rm: Person,
    client_for: SignIn,
) -> None:
    draft = drafted(booked, hq_risk, client_for, policy)
    with bank(booked.id):
        real = list(Standing.objects.filter(value_tier__gt=0))
        effect = effect_of(hq_risk.actor, draft, NOVEMBER)
    assert {key: sums.customers for key, sums in effect.cells.items()} == Counter(
        (s.value_tier, rank(s, 3_000_000, 600_000)) for s in real
    )
    assert effect.down.customers > 0
    assert effect.down.deposits_adb == sum(
        (s.deposits_adb for s in real if rank(s, 3_000_000, 600_000) < s.value_tier), Decimal(0)
    )
    page = client_for(hq_risk).get(f"/segmentation/policies/{draft.pk}/").content.decode()
    assert f"/segmentation/policies/{draft.pk}/effect/" in page
    for who in (hq_risk, branch_manager):  # each of the customers that he sees
        part = client_for(who).get(
            f"/segmentation/policies/{draft.pk}/effect/", HTTP_HX_REQUEST="true"
        ).content.decode()  # fmt: skip
        cells = re.findall(r'<a class="figure"[^>]*href="(/customers/\?[^"]+)"[^>]*>([\d,]+)<', part)
        assert len(cells) > 2
        for url, text in cells:
            assert listed(url.replace("&amp;", "&"), who) == int(text), url
    assert "of those who move down" not in client_for(rm).get("/segmentation/policies/").content.decode()
    assert client_for(rm).get(f"/segmentation/policies/{draft.pk}/effect/").status_code == 403


def test_what_is_in_force_shows_no_effect(
    booked: House,
    policy: TierPolicy,
    hq_risk: Person,
    client_for: SignIn,
) -> None:
    assert "/effect/" not in client_for(hq_risk).get(f"/segmentation/policies/{policy.pk}/").content.decode()


def test_a_kind_with_a_policy_of_its_own_is_left_out(
    booked: House,
    policy: TierPolicy,
    hq_risk: Person,
    marketing: Person,
    client_for: SignIn,
) -> None:
    with bank(booked.id):
        TierPolicy.objects.create(
            scheme=policy.scheme, kind="corporate", version=7, tiers=policy.tiers, valid_from=NOVEMBER,
            status=VersionStatus.PUBLISHED, drafted_by=hq_risk.staff, proposed_by=hq_risk.staff,
            published_by=marketing.staff, drafted_at=policy.drafted_at,
        )  # fmt: skip
    draft = drafted(booked, hq_risk, client_for, policy)
    page = client_for(hq_risk).get(f"/segmentation/policies/{draft.pk}/effect/").content.decode()
    assert "all 8 customers that you see" in page
    assert "Corporate: not counted, a policy of their own decides." in page


def test_a_new_scheme_counts_once_every_tier_has_a_condition(
    booked: House,
    hq_risk: Person,
    client_for: SignIn,
) -> None:
    author = client_for(hq_risk)
    author.post("/segmentation/policies/new/", {"name": "Size", "code": "size", "levels": "Big\nSmall"})
    with bank(booked.id):
        draft = TierPolicy.objects.get(scheme__code="size")
        large = Standing.objects.filter(deposits_adb__gte=1_000_000, value_tier__gt=0).count()
    base = f"/segmentation/policies/{draft.pk}"
    assert "has no condition yet" in author.get(f"{base}/effect/").content.decode()
    author.post(f"{base}/edit/", editor(draft, r2=("deposits_adb", ">=", "1000000")))
    page = author.get(f"{base}/effect/")
    assert [sums.customers for _code, _label, sums, _change in page.context["lines"]] == [large, 16 - large]


def test_why_says_how_far_it_is_to_the_next_tier(booked: House, hq_risk: Person, client_for: SignIn) -> None:
    with bank(booked.id):
        mid = Standing.objects.filter(value_tier=2).first()
    assert mid is not None
    answer = client_for(hq_risk).get(f"/segmentation/customers/{mid.customer_id}/why/")
    (value, _wealth) = answer.context["reasons"]
    assert value.above_label == "High"
    assert [row.short for row in value.above] == [1_000_000 - mid.deposits_adb, 2_000_000 - mid.loans]
    assert "To High" in answer.content.decode()
