"""The pages of segmentation: figures open the lists that agree with them; a policy takes two persons."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from crm_site.accounts.models import Bank
from crm_site.accounts.versions import VersionStatus
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.conditions import Matches
from customers.models import Customer, Standing
from segmentation.engine.policies import value_tiers
from segmentation.models import Scheme, TierPolicy
from segmentation.selectors import book as selectors
from tests.conftest import NOW, House, Person, hire
from tests.segmentation.conftest import NOVEMBER
from tests.segmentation.test_tiers import night

SignIn = Callable[[Person], Client]


def listed(url: str, person: Person) -> int:
    """How many customers the list behind a figure's address has for a person."""
    query = parse_qs(urlsplit(url).query)
    condition = json.loads(query["c"][0])
    with bank(person.bank.pk):
        seen = Standing.objects.visible_to(person.actor)
        return seen.filter(Matches(condition, as_of=NOVEMBER, actor=person.actor)).count()


@pytest.mark.parametrize("who", ["hq_risk", "branch_manager", "line_department"])
def test_every_figure_opens_a_list_of_as_many(
    booked: House, client_for: SignIn, request: pytest.FixtureRequest, who: str
) -> None:
    person: Person = request.getfixturevalue(who)
    client = client_for(person)
    pages = "".join(client.get(f"/segmentation/?scheme={s}").content.decode() for s in ("value", "wealth"))
    figures = set(re.findall(r'<a class="figure"[^>]*href="(/customers/\?[^"]+)"[^>]*>([\d,]+)<', pages))
    assert len(figures) > 16
    for url, text in figures:
        assert listed(url.replace("&amp;", "&"), person) == int(text.replace(",", "")), url


@pytest.mark.parametrize("who", ["hq_risk", "branch_manager", "line_department"])
def test_each_cell_of_the_matrix_opens_its_movers(
    booked: House, client_for: SignIn, request: pytest.FixtureRequest, who: str
) -> None:
    person: Person = request.getfixturevalue(who)
    client = client_for(person)
    page = client.get("/segmentation/").content.decode()
    cells = re.findall(r'href="(/segmentation/movers/\?[^"]+start=[^"]+)"[^>]*>(\d+)<', page)
    assert cells
    for url, text in cells:
        movers = client.get(url.replace("&amp;", "&")).content.decode()
        assert movers.count('class="row-title"') == int(text)
    up = re.search(r"direction=up[^>]*>[^<\d]*(\d+)", client.get("/segmentation/movers/").content.decode())
    rows = client.get("/segmentation/movers/?direction=up").content.decode().count('class="row-title"')
    assert up is not None
    assert rows == int(up.group(1))


def test_a_branch_manager_sees_the_branch_alone(
    booked: House, branch_manager: Person, hq_risk: Person
) -> None:
    with bank(booked.id):
        everything = selectors.Scope()
        mine = selectors.by_tier(branch_manager.actor, everything, NOVEMBER, "value", is_newest=True)
        whole = selectors.by_tier(hq_risk.actor, everything, NOVEMBER, "value", is_newest=True)
        south = selectors.Scope(unit=booked.south)
        assert (sum(line.customers for line in mine), sum(line.customers for line in whole)) == (8, 16)
        assert not sum(
            line.customers
            for line in selectors.by_tier(branch_manager.actor, south, NOVEMBER, "value", is_newest=True)
        )
        curve = selectors.concentration(branch_manager.actor, everything, NOVEMBER, "deposits_adb")
        assert curve is not None
        assert curve.home_branch == booked.north
        assert curve.book == 8


def test_a_line_department_has_the_lorenz_curve_of_its_customers(
    booked: House, line_department: Person, client_for: SignIn
) -> None:
    """The button on its home promises one."""
    with bank(booked.id):
        curve = selectors.concentration(line_department.actor, selectors.Scope(), NOVEMBER, "deposits_adb")
        assert curve is not None
        assert curve.book == 8  # the companies alone
        private = selectors.Scope(kind="personal")
        assert selectors.concentration(line_department.actor, private, NOVEMBER, "deposits_adb") is None
    page = client_for(line_department).get("/segmentation/").content.decode()
    assert "of 8 customers have deposits" in page


def test_a_past_month_is_shown_without_lists(booked: House, hq_risk: Person, client_for: SignIn) -> None:
    page = client_for(hq_risk).get("/segmentation/?day=2026-10-31").content.decode()
    assert "A past month-end" in page
    assert "/customers/?c=" not in page


def test_odd_filters_fall_back(booked: House, hq_risk: Person, client_for: SignIn) -> None:
    client = client_for(hq_risk)
    for query in ("unit=x&kind=robot&scheme=none&day=1", "day=2020-01-31", "unit=999999"):
        assert client.get(f"/segmentation/?{query}").status_code == 200
    for after in ("a:b", "NaN:1", "1e99:1", "1:99999999999999999999"):
        assert client.get(f"/segmentation/movers/?start=x&after={after}").status_code == 200


def test_before_the_first_night_the_page_says_so(house: House, hq_risk: Person, client_for: SignIn) -> None:
    page = client_for(hq_risk).get("/segmentation/").content.decode()
    assert "No night has been run" in page
    assert client_for(hq_risk).get("/segmentation/movers/").status_code == 200


# -- why ------------------------------------------------------------------------------------------------------------


def test_why_shows_figures_thresholds_policy_and_date(
    booked: House, hq_risk: Person, client_for: SignIn
) -> None:
    with bank(booked.id):
        rich = Standing.objects.filter(value_tier=3).first()
        poor = Standing.objects.filter(value_tier=1, customer__is_prospect=False).first()
        prospect = Customer.objects.get(is_prospect=True)
    client = client_for(hq_risk)
    page = client.get(
        f"/segmentation/customers/{rich.customer_id}/why/", HTTP_HX_REQUEST="true"
    ).content.decode()
    assert page.startswith('<div class="popover-body">')
    for text in ("Why High", "Value tiers v1", "1.0", "2.0", "Decided as of", "met"):
        assert text in page
    page = client.get(f"/segmentation/customers/{poor.customer_id}/why/").content.decode()
    assert "Below “Mid”" in page
    page = client.get(f"/segmentation/customers/{prospect.pk}/why/").content.decode()
    assert "Prospects have no tier" in page


def test_the_panel_shows_each_change(
    booked: House, hq_risk: Person, outsider: Person, client_for: SignIn
) -> None:
    with bank(booked.id):
        mover = next(s for s in Standing.objects.all() if s.value_since == NOVEMBER and s.value_tier)
    url = f"/segmentation/customers/{mover.customer_id}/tiers/"
    page = client_for(hq_risk).get(url, HTTP_HX_REQUEST="true").content.decode()
    assert "31 Oct" in page
    assert "19 Nov" in page
    assert client_for(outsider).get(url).status_code == 404


# -- policies -------------------------------------------------------------------------------------------------------


THRESHOLDS = {
    "high-deposits_adb": "800000", "high-loans": "2000000", "mid-deposits_adb": "150000", "mid-loans": "500000",
    "measure": "deposits_adb", "note": "Free time for those just below",
}  # fmt: skip


def test_a_policy_takes_two_persons(
    booked: House, policy: TierPolicy, hq_risk: Person, marketing: Person, client_for: SignIn
) -> None:
    author, second = client_for(hq_risk), client_for(marketing)
    answer = author.post(f"/segmentation/policies/{policy.pk}/edit/", THRESHOLDS)
    assert answer.status_code == 302
    with bank(booked.id):
        draft = TierPolicy.objects.get(status=VersionStatus.DRAFT)
    base = f"/segmentation/policies/{draft.pk}"
    page = author.get(f"{base}/").content.decode()
    assert "800,000" in page and "What it changes" in page and "against v1" in page
    # Not before the newest business date, which is decided already.
    assert author.post(f"{base}/propose/", {"valid_from": "2026-11-19"}).status_code == 422
    assert author.post(f"{base}/propose/", {"valid_from": "2026-11-20"}).status_code == 302
    refused = author.post(f"{base}/publish/")
    assert refused.status_code == 422
    assert "A second person publishes it." in refused.content.decode()
    assert second.post(f"{base}/publish/").status_code == 302
    assert second.post(f"{base}/publish/").status_code == 409  # a double click
    with bank(booked.id):
        done = TierPolicy.objects.get(pk=draft.pk)
        assert (done.status, done.version, done.published_by) == ("published", 2, marketing.staff)
        assert done.tiers == value_tiers(800_000, 2_000_000, 150_000, 500_000)
        night(dt.date(2026, 11, 20))
        lifted = [s for s in Standing.objects.filter(value_tier=3) if s.deposits_adb < 1_000_000]
        assert all(s.deposits_adb >= 800_000 for s in lifted)
    page = second.get(f"{base}/").content.decode()
    assert "published by Marketing" in page


def test_a_proposal_may_be_returned_and_a_draft_thrown_away(
    booked: House, policy: TierPolicy, hq_risk: Person, marketing: Person, client_for: SignIn
) -> None:
    author, second = client_for(hq_risk), client_for(marketing)
    author.post(f"/segmentation/policies/{policy.pk}/edit/", THRESHOLDS)
    with bank(booked.id):
        draft = TierPolicy.objects.get(status=VersionStatus.DRAFT)
    base = f"/segmentation/policies/{draft.pk}"
    author.post(f"{base}/propose/", {"valid_from": "2026-12-01"})
    assert author.post(f"/segmentation/policies/{policy.pk}/edit/", THRESHOLDS).status_code == 422
    assert second.post(f"{base}/return/").status_code == 302
    assert (
        author.post(f"/segmentation/policies/{draft.pk}/edit/", {**THRESHOLDS, "note": "again"}).status_code
        == 302
    )
    assert author.post(f"{base}/discard/").status_code == 302
    with bank(booked.id):
        assert not TierPolicy.objects.filter(pk=draft.pk).exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mid-deposits_adb": "800000"}, "below that of the tier above"),
        ({"high-loans": "-1"}, "greater than or equal"),
        ({"high-loans": "abc"}, "Enter a number"),
        ({"high-loans": "1.001"}, "2 decimal places"),
    ],
)
def test_thresholds_are_checked_beside_their_field(
    booked: House,
    policy: TierPolicy,
    hq_risk: Person,
    client_for: SignIn,
    changed: dict[str, str],
    message: str,
) -> None:
    answer = client_for(hq_risk).post(f"/segmentation/policies/{policy.pk}/edit/", {**THRESHOLDS, **changed})
    assert answer.status_code == 422
    assert message in answer.content.decode()
    with bank(booked.id):
        assert not TierPolicy.objects.filter(status=VersionStatus.DRAFT).exists()


def test_who_may_do_what(booked: House, policy: TierPolicy, rm: Person, client_for: SignIn) -> None:
    client = client_for(rm)
    assert client.get("/segmentation/").status_code == 403
    assert client.get("/segmentation/policies/").status_code == 200
    assert client.get(f"/segmentation/policies/{policy.pk}/").status_code == 200
    assert client.get(f"/segmentation/policies/{policy.pk}/edit/").status_code == 403
    president = client_for(hire(booked, "president_two", Role.PRESIDENT, booked.head_office))
    assert president.get(f"/segmentation/policies/{policy.pk}/edit/").status_code == 403


def test_the_database_wants_a_second_person(booked: House, policy: TierPolicy, hq_risk: Person) -> None:
    from django.db import IntegrityError, transaction

    with (
        bank(booked.id),
        pytest.raises(IntegrityError, match="tierpolicy_second_person"),
        transaction.atomic(),
    ):
        TierPolicy.objects.create(
            scheme=policy.scheme, version=9, tiers=policy.tiers, valid_from=NOVEMBER, status=VersionStatus.PUBLISHED,
            drafted_by=hq_risk.staff, proposed_by=hq_risk.staff, published_by=hq_risk.staff, drafted_at=NOW,
        )  # fmt: skip


# -- a scheme of the bank's own, a policy of its own for a kind ------------------------------------------------------


def editor(draft: TierPolicy, **rows: tuple[str, str, str]) -> dict[str, object]:
    """What the condition editor sends: one comparison for each tier, named by its rank ("r2")."""
    sent: dict[str, object] = {"note": "", "row": []}
    for rank, (fact, op, value) in rows.items():
        key = f"t{rank[1:]}xaa"
        sent["row"] = [*sent["row"], key]
        sent |= {f"fact-{key}": fact, f"op-{key}": op, f"value-{key}": value, f"how-t{rank[1:]}x": "any"}
    return sent


def test_a_scheme_of_the_banks_own_goes_from_draft_to_customers(
    booked: House, hq_risk: Person, marketing: Person, client_for: SignIn
) -> None:
    author, second = client_for(hq_risk), client_for(marketing)
    made = author.post(
        "/segmentation/policies/new/", {"name": "按规模", "code": "by_size", "levels": "大户\n中户\n其他"}
    )
    assert made.status_code == 302
    with bank(booked.id):
        draft = TierPolicy.objects.get(scheme__code="by_size")
    base = f"/segmentation/policies/{draft.pk}"
    assert (
        author.post(f"{base}/propose/", {"valid_from": "2026-11-20"}).status_code == 422
    )  # nothing said yet
    page = author.get(f"{base}/edit/").content.decode()
    assert 'name="how-t3x"' in page
    assert "churn" not in page  # facts of the newest date alone decide no tier
    wrong = author.post(f"{base}/edit/", editor(draft, r3=("deposits_adb", ">=", "1000000")))
    assert (wrong.status_code, "A tier needs a condition" in wrong.content.decode()) == (422, True)
    right = editor(draft, r3=("deposits_adb", ">=", "1000000"), r2=("deposits_adb", ">=", "100000"))
    assert author.post(f"{base}/edit/", right).status_code == 302
    assert "1,000,000" in author.get(f"{base}/edit/").content.decode().replace("1000000", "1,000,000")
    author.post(f"{base}/propose/", {"valid_from": "2026-11-20"})
    assert author.post(f"{base}/publish/").status_code == 422
    assert second.post(f"{base}/publish/").status_code == 302
    with bank(booked.id):
        night(dt.date(2026, 11, 20))
        large = Standing.objects.filter(deposits_adb__gte=1_000_000, customer__is_prospect=False).first()
        assert large is not None
    Bank.objects.filter(pk=booked.id).update(business_date=dt.date(2026, 11, 20))
    answer = second.get(f"{base}/")
    ranks = {tier["rank"]: n for tier, _label, _words, n, _url in answer.context["tiers"]}
    (large_list,) = [url for tier, *_rest, url in answer.context["tiers"] if tier["rank"] == 3]
    listed = second.get(large_list, follow=True)
    assert "按规模 · 大户" in listed.content.decode()
    assert len(listed.context["page"].rows) == ranks[3]
    with bank(booked.id):
        real = Standing.objects.filter(customer__is_prospect=False)
        assert ranks[3] == real.filter(deposits_adb__gte=1_000_000).count() > 0
        assert sum(ranks.values()) == real.count()
    panel = second.get(f"/segmentation/customers/{large.customer_id}/tiers/").content.decode()
    assert "大户" in panel
    assert "按规模" in panel


def test_a_scheme_needs_names_of_its_own_and_goes_with_its_only_draft(
    booked: House, hq_risk: Person, client_for: SignIn
) -> None:
    author = client_for(hq_risk)
    sent = {"name": "Savers", "code": "value", "levels": "One"}
    page = author.post("/segmentation/policies/new/", sent)
    assert page.status_code == 422
    assert "has a scheme with this short name" in page.content.decode()
    assert "two to 10 tiers" in page.content.decode()
    author.post("/segmentation/policies/new/", {"name": "Savers", "code": "savers", "levels": "Yes\nNo"})
    with bank(booked.id):
        draft = TierPolicy.objects.get(scheme__code="savers")
    author.post(f"/segmentation/policies/{draft.pk}/discard/")
    with bank(booked.id):
        assert not Scheme.objects.filter(code="savers").exists()


def test_the_first_policy_of_one_kind_begins_as_a_copy(
    booked: House, policy: TierPolicy, hq_risk: Person, marketing: Person, client_for: SignIn
) -> None:
    author, second = client_for(hq_risk), client_for(marketing)
    answer = author.post(f"/segmentation/policies/{policy.pk}/kind/", {"kind": "corporate"})
    with bank(booked.id):
        draft = TierPolicy.objects.get(kind="corporate")
        assert draft.tiers == policy.tiers
    assert answer.url == f"/segmentation/policies/{draft.pk}/edit/"
    author.post(answer.url, {**THRESHOLDS, "high-deposits_adb": "9000000", "mid-deposits_adb": "8000000"})
    author.post(f"/segmentation/policies/{draft.pk}/propose/", {"valid_from": "2026-11-20"})
    second.post(f"/segmentation/policies/{draft.pk}/publish/")
    with bank(booked.id):
        night(dt.date(2026, 11, 20))
        big = Standing.objects.filter(deposits_adb__gte=2_000_000, loans=0, deposits_adb__lt=8_000_000)
        assert {s.kind: s.value_tier for s in big} == {"corporate": 1, "personal": 3}
    page = author.post(f"/segmentation/policies/{policy.pk}/kind/", {"kind": "corporate"}, follow=True)
    assert "has a policy of its own already" in page.content.decode()
