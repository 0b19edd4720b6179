"""The customer page: who may open it, what is masked, what fails alone, contacts, tasks, profile."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from crm_site.accounts.models import Bank
from crm_site.audit.models import Entry
from crm_site.lib.registry import PANELS
from crm_site.lib.tenancy import bank
from crm_site.work.models import Task
from customers import services
from customers.ingest.uploads import retoken
from customers.models import Customer, Interaction, Standing
from customers.selectors import single
from customers.selectors.ties import RelatedParty
from customers.views.drawings import draw_relations
from customers.views.listing import pack
from tests.conftest import NOW
from tests.customers import factories
from tests.customers.factories import AS_OF
from tests.customers.test_list import own_statements

RESIDENT_ID = "11010519491231002X"
PHONE = "+8613812346021"
PANEL_URLS = sorted({panel.url_name for panel in PANELS if panel.url_name.startswith("customers:")})


@pytest.fixture
def secretive(house: Any, portfolio: Any) -> Any:
    """Lu with an identifier, a phone, accounts, a loan and a contact."""
    lu = portfolio["lu"]
    with bank(house.id):
        factories.add_identifier(lu, RESIDENT_ID)
        factories.add_phone(lu, PHONE)
        factories.make_account(lu, maturity_date=dt.date(2026, 11, 25), kind="term")
        joint = factories.make_account(portfolio["far"], number="62220000777")
        joint.holders.create(account=joint, customer=lu, role="joint")
        factories.make_loan(lu, days_past_due=9, overdue_amount=Decimal(1_200))
        factories.make_interaction(lu, note="wants a loan", result="interested")
        factories.relate(lu, portfolio["far"], "family")
        factories.relate(portfolio["acme"], lu, "shareholder", share=Decimal("0.7"))
    return lu


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("rm", 200), ("rm_other_branch", 404), ("teller", 404), ("branch_manager", 200), ("line_department", 404),
        ("hq_risk", 200), ("auditor", 200), ("administrator", 403), ("outsider", 404),
    ],
)  # fmt: skip
def test_who_may_open_a_customer_and_its_panels(
    who: str, status: int, request: pytest.FixtureRequest, secretive: Any, client_for: Any
) -> None:
    client = client_for(request.getfixturevalue(who))
    urls = [reverse(name, args=[secretive.pk]) for name in PANEL_URLS]
    for url in (f"/customers/{secretive.pk}/", f"/customers/{secretive.pk}/print/", *urls):
        assert client.get(url, headers={"HX-Request": "true"}).status_code == status, url


def test_a_protected_value_is_on_no_page(secretive: Any, rm: Any, client_for: Any) -> None:
    client = client_for(rm)
    urls = [reverse(name, args=[secretive.pk]) for name in PANEL_URLS]
    urls += [
        "/customers/",
        f"/customers/{secretive.pk}/",
        f"/customers/{secretive.pk}/print/",
        "/search/?q=6021",
    ]
    urls += [f"/customers/{secretive.pk}/?tab={tab}" for tab in ("business", "service", "information")]
    for url in urls:
        html = client.get(url).content.decode()
        assert RESIDENT_ID not in html
        assert PHONE not in html
        assert PHONE[3:] not in html


def test_the_page_stays_within_its_sql(secretive: Any, rm: Any, client_for: Any) -> None:
    from customers.selectors.lists import REAL, CustomerQuery

    client = client_for(rm)
    url = f"/customers/{secretive.pk}/?list={pack(CustomerQuery(REAL))}"
    with CaptureQueriesContext(connection) as captured:
        html = client.get(url).content.decode()
    assert "Next" in html
    assert len(own_statements(captured)) <= 10, own_statements(captured)


@pytest.mark.parametrize("name", PANEL_URLS)
def test_a_panel_does_not_grow_its_sql(
    name: str, secretive: Any, house: Any, rm: Any, client_for: Any
) -> None:
    client, url = client_for(rm), reverse(name, args=[secretive.pk])
    with CaptureQueriesContext(connection) as few:
        client.get(url, headers={"HX-Request": "true"})
    with bank(house.id):
        for n in range(4):
            factories.make_account(secretive)
            factories.make_loan(secretive)
            factories.make_interaction(secretive, note=f"n{n}")
            factories.relate(secretive, factories.make_customer(), "guarantor")
    with CaptureQueriesContext(connection) as many:
        client.get(url, headers={"HX-Request": "true"})
    assert len(many) <= len(few)
    assert len(own_statements(many)) <= 6


def test_a_list_parameter_that_was_changed_is_ignored(secretive: Any, rm: Any, client_for: Any) -> None:
    assert client_for(rm).get(f"/customers/{secretive.pk}/?list=forged:x:y&tab=nonsense").status_code == 200


def test_a_joint_account_counts_for_its_owner_alone(secretive: Any, house: Any, rm: Any) -> None:
    with bank(house.id):
        held = single.accounts_held(rm.actor, secretive, as_of=AS_OF, currency="CNY")
    assert [(row.is_owner, row.matures_soon) for row in held] == [(True, True), (False, False)]
    assert held[1].value is None


def test_relations_do_not_name_who_is_out_of_sight(secretive: Any, rm: Any, client_for: Any) -> None:
    html = client_for(rm).get(f"/customers/{secretive.pk}/panels/relations/").content.decode()
    assert "周岚" not in html
    assert "A customer of another manager" in html
    assert ">70%</td>" in html


# --- reveal ---


def reveal_url(customer: Any) -> str:
    identifier = customer.identifiers.get()
    return f"/customers/{customer.pk}/reveal/identifier/{identifier.pk}/"


def test_revealing_asks_a_reason_and_goes_on_record(
    secretive: Any, rm: Any, house: Any, client_for: Any
) -> None:
    client = client_for(rm)
    with bank(house.id):
        url = reveal_url(secretive)
    assert RESIDENT_ID not in client.get(url).content.decode()
    without = client.post(url, {"reason": " "})
    assert client.post(url, {"reason": "看"}).status_code == without.status_code
    assert without.status_code == 422
    assert RESIDENT_ID not in without.content.decode()
    shown = client.post(url, {"reason": "Preparing a contract"})
    assert RESIDENT_ID in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    with bank(house.id):
        entry = Entry.objects.get(action="reveal")
        assert (entry.customer_id, entry.reason, entry.actor_id) == (
            secretive.pk,
            "Preparing a contract",
            rm.staff.pk,
        )
        assert RESIDENT_ID not in json.dumps(entry.changes)


def test_a_chinese_word_is_reason_enough(secretive: Any, rm: Any, house: Any, client_for: Any) -> None:
    with bank(house.id):
        url = reveal_url(secretive)
    assert RESIDENT_ID in client_for(rm).post(url, {"reason": "回访"}).content.decode()


def test_no_record_no_reveal(
    secretive: Any, rm: Any, house: Any, client_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the record is full")

    monkeypatch.setattr("customers.services.privacy.record", broken)
    with bank(house.id):
        url = reveal_url(secretive)
    client = client_for(rm)
    client.raise_request_exception = False
    answer = client.post(url, {"reason": "Preparing a contract"})
    assert answer.status_code == 500
    assert RESIDENT_ID not in answer.content.decode()


@pytest.mark.parametrize(("who", "status"), [("rm_other_branch", 404), ("marketing", 403), ("outsider", 404)])
def test_who_may_not_reveal(
    who: str, status: int, request: pytest.FixtureRequest, secretive: Any, house: Any, client_for: Any
) -> None:
    with bank(house.id):
        url = reveal_url(secretive)
    answer = client_for(request.getfixturevalue(who)).post(url, {"reason": "Preparing a contract"})
    assert answer.status_code == status


def test_an_identifier_of_another_customer_is_not_revealed(
    secretive: Any, portfolio: Any, rm: Any, house: Any, client_for: Any
) -> None:
    with bank(house.id):
        url = reveal_url(secretive).replace(f"/{secretive.pk}/", f"/{portfolio['acme'].pk}/", 1)
    assert client_for(rm).post(url, {"reason": "Preparing a contract"}).status_code == 404


# --- contacts and tasks ---


def contact(**more: Any) -> dict[str, Any]:
    return {
        "channel": "call",
        "result": "interested",
        "note": "<b>hi</b>",
        "submission": str(uuid.uuid4()),
        **more,
    }


def test_a_contact_counts_once_and_its_promise_is_a_task(
    secretive: Any, rm: Any, house: Any, client_for: Any
) -> None:
    client, url = client_for(rm), f"/customers/{secretive.pk}/contacts/new/"
    assert client.get(url).status_code == 200
    typed = contact(promise="Send the rate", promise_date="2099-01-05")
    assert client.post(url, typed).status_code == 302
    assert client.post(url, typed).status_code == 302
    with bank(house.id):
        written = Interaction.objects.get(source="crm")
        assert (written.author_id, written.result) == (rm.staff.pk, "interested")
        task = Task.objects.get(reason="promise")
        assert (task.customer_id, task.owner_id, task.due_date) == (
            secretive.pk,
            rm.staff.pk,
            dt.date(2099, 1, 5),
        )
        assert Standing.objects.get(customer=secretive).last_contact_date is not None
    timeline = f"/customers/{secretive.pk}/panels/timeline/"
    assert '<span class="is-watch">Promised by' in client.get(timeline).content.decode()
    html = client.get(f"/customers/{secretive.pk}/panels/contacts/").content.decode()
    assert "&lt;b&gt;hi&lt;/b&gt;" in html
    assert "Send the rate" in client.get(f"/customers/{secretive.pk}/panels/tasks/").content.decode()
    assert client.post(f"/tasks/{task.pk}/done/", {"result": "Sent"}).status_code == 302
    kept = client.get(timeline).content.decode()  # what was promised stays, and asks for nothing any more
    assert "Send the rate" in kept
    assert "is-watch" not in kept


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "pigeon"}, {"result": "", "note": ""}, {"promise": "x"}, {"promise_date": "2099-01-01"},
        {"promise": "x", "promise_date": "2001-01-01"}, {"submission": "no uuid"},
    ],
)  # fmt: skip
def test_a_contact_that_cannot_be_taken_says_why(
    wrong: Any, secretive: Any, rm: Any, client_for: Any
) -> None:
    answer = client_for(rm).post(f"/customers/{secretive.pk}/contacts/new/", contact(**wrong))
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode() or "notice-risk" in answer.content.decode()


def test_a_contact_is_corrected_by_its_author_within_a_week(
    secretive: Any, rm: Any, branch_manager: Any, house: Any, client_for: Any
) -> None:
    with bank(house.id):
        made = services.record_interaction(
            rm.actor,
            customer=secretive,
            channel="visit",
            result="agreed",
            note="first",
            submission=uuid.uuid4(),
            now=NOW,
        )
        late = NOW + dt.timedelta(days=8)
        assert services.may_correct(rm.actor, made, NOW)
        assert not services.may_correct(rm.actor, made, late)
        assert not services.may_correct(branch_manager.actor, made, NOW)
        services.correct_interaction(rm.actor, interaction=made, result="agreed", note="second", now=NOW)
    with bank(house.id):
        imported = secretive.interactions.get(source="")
    url = f"/customers/{secretive.pk}/contacts/{imported.pk}/"
    assert client_for(rm).post(url, {"note": "mine now"}).status_code == 404


def test_tasks_for_selected_customers_are_made_once(
    portfolio: Any, rm: Any, house: Any, client_for: Any
) -> None:
    client = client_for(rm)
    ids = [portfolio["lu"].pk, portfolio["acme"].pk, portfolio["far"].pk]
    assert client.post("/customers/tasks/", {"selected": ids}).status_code == 200
    typed = {"selected": ids, "title": "Call", "due_date": "2099-02-01", "submission": str(uuid.uuid4())}
    for _n in range(2):
        assert client.post("/customers/tasks/", typed).status_code == 302
    with bank(house.id):
        assert set(Task.objects.values_list("customer_id", flat=True)) == set(ids[:2])
        assert Task.objects.count() == 2
    wrong = client.post(
        "/customers/tasks/", {**typed, "due_date": "2001-01-01", "submission": str(uuid.uuid4())}
    )
    assert wrong.status_code == 422


# --- profile and prospects ---


def profile(**typed: str) -> dict[str, str]:
    empty = dict.fromkeys(
        (
            "occupation",
            "employer",
            "family_note",
            "experience_note",
            "preference_note",
            "needs_note",
            "contact_language",
        ),
        "",
    )
    base = typed.pop("base", {})
    return {**empty, **base, **typed, "base": json.dumps({**empty, **base})}


def test_two_people_on_one_profile_lose_nothing(
    secretive: Any, rm: Any, branch_manager: Any, house: Any, client_for: Any
) -> None:
    url = f"/customers/{secretive.pk}/profile/"
    first, second = client_for(rm), client_for(branch_manager)
    assert first.post(url, profile(occupation="Doctor", family_note="Two children")).status_code == 302
    # The other one opened the form before: another field merges, the same field is shown with both wordings.
    assert second.post(url, profile(employer="Hospital")).status_code == 302
    clash = second.post(url, profile(occupation="Surgeon", needs_note="Mortgage"))
    html = clash.content.decode()
    assert clash.status_code == 409
    assert "Surgeon" in html
    assert "Doctor" in html
    assert "Mortgage" in html
    with bank(house.id):
        kept = Customer.objects.get(pk=secretive.pk)
        assert (kept.occupation, kept.employer, kept.needs_note) == ("Doctor", "Hospital", "")
    seen = {"occupation": "Doctor", "employer": "Hospital", "family_note": "Two children"}
    assert (
        second.post(url, profile(base=seen, occupation="Surgeon", needs_note="Mortgage")).status_code == 302
    )
    with bank(house.id):
        kept = Customer.objects.get(pk=secretive.pk)
        assert (kept.occupation, kept.family_note, kept.needs_note) == ("Surgeon", "Two children", "Mortgage")


def test_a_company_is_asked_for_no_occupation(secretive: Any, rm: Any, house: Any, client_for: Any) -> None:
    with bank(house.id):
        Customer.objects.filter(pk=secretive.pk).update(kind="corporate")
    client = client_for(rm)
    form = client.get(f"/customers/{secretive.pk}/profile/").content.decode()
    assert 'name="needs_note"' in form
    assert 'name="occupation"' not in form
    assert "Occupation" not in client.get(f"/customers/{secretive.pk}/panels/profile/").content.decode()
    answer = client.post(
        f"/customers/{secretive.pk}/profile/", profile(needs_note="Payroll", occupation="Doctor")
    )
    assert answer.status_code == 302
    with bank(house.id):
        kept = Customer.objects.get(pk=secretive.pk)
        assert (kept.needs_note, kept.occupation) == ("Payroll", "")


def test_a_prospect_is_made_once_and_can_be_found(rm: Any, house: Any, client_for: Any) -> None:
    client = client_for(rm)
    typed = {
        "name": "新浜纸业有限公司", "kind": "corporate", "phone": "138 1234 6021", "scheme": "uscc",
        "identifier": "91110000600037341L", "submission": str(uuid.uuid4()),
    }  # fmt: skip
    for _n in range(2):
        assert client.post("/customers/prospects/new/", typed).status_code == 302
    with bank(house.id):
        made = Customer.objects.get(is_prospect=True)
        assert (made.responsible_id, made.home_branch_id, made.source_as_of) == (
            rm.staff.pk,
            house.north.pk,
            None,
        )
        assert Standing.objects.get(customer=made).responsible_id == rm.staff.pk
    for query in ("新浜", "纸业", "6021", "91110000600037341L", "xbzy"):
        assert "新浜纸业有限公司" in client.get("/search/", {"q": query}).content.decode(), query
    again = client.post("/customers/prospects/new/", {**typed, "submission": str(uuid.uuid4())})
    assert again.status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"phone": "12"}, {"scheme": "uscc", "identifier": "91110000600037341M"}, {"identifier": "91110000600037341L"},
        {"name": ""}, {"kind": "alien"},
    ],
)  # fmt: skip
def test_a_prospect_with_a_wrong_number_is_refused_beside_the_field(
    wrong: Any, rm: Any, client_for: Any
) -> None:
    typed = {"name": "甲乙", "kind": "personal", "submission": str(uuid.uuid4()), **wrong}
    answer = client_for(rm).post("/customers/prospects/new/", typed)
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode()


def test_place_customers_keeps_customer_and_standing_equal(
    portfolio: Any, house: Any, rm: Any, rm_other_branch: Any
) -> None:
    queue, lu = portfolio["queue"], portfolio["lu"]
    rows = [
        services.Placement(queue.pk, house.south.pk, rm_other_branch.staff.pk),
        services.Placement(lu.pk, house.north.pk, rm.staff.pk),
    ]
    with bank(house.id):
        assert services.place_customers(house.id, rows) == 1
        assert services.place_customers(house.id, rows) == 0
        for customer_id in (queue.pk, lu.pk):
            customer, standing = (
                Customer.objects.get(pk=customer_id),
                Standing.objects.get(customer=customer_id),
            )
            assert (customer.home_branch_id, customer.responsible_id) == (
                standing.home_branch_id,
                standing.responsible_id,
            )


def test_a_contact_is_logged_from_the_phones_tab_in_three_taps(
    house: Any, rm: Any, secretive: Any, client_for: Any
) -> None:
    with bank(house.id):
        retoken([secretive.pk])
    client = client_for(rm)
    address = f"/customers/{secretive.pk}/contacts/new/"
    assert 'href="/customers/log/"' in client.get("/customers/").content.decode()
    found = client.get(
        "/customers/log/", {"q": secretive.number}, headers={"HX-Request": "true"}
    ).content.decode()
    assert address in found
    assert found.startswith('<div id="log-choices"')
    assert address not in client.get("/customers/log/").content.decode()
    client.post(address, contact(promise="Call back", promise_date="2099-01-02"))
    page = client.get("/customers/log/").content.decode()
    assert page.index("Last contacts") < page.index(address)
    with bank(house.id):
        assert Task.objects.get(reason="promise").owner_id == rm.staff.pk


def test_the_log_offers_nobody_out_of_sight(
    house: Any, rm: Any, rm_other_branch: Any, secretive: Any, client_for: Any
) -> None:
    client_for(rm).post(f"/customers/{secretive.pk}/contacts/new/", contact())
    with bank(house.id):
        Interaction.objects.filter(customer=secretive).update(author=rm_other_branch.staff)
    assert (
        f"/customers/{secretive.pk}/"
        not in client_for(rm_other_branch).get("/customers/log/").content.decode()
    )


def test_figures_hold_until_the_business_date(house: Any, portfolio: Any, rm: Any, client_for: Any) -> None:
    """Nothing changed at Lu's since the end of October: the core data are as of the business date all the same."""
    lu, october = portfolio["lu"], dt.date(2026, 10, 31)
    with bank(house.id):
        Standing.objects.filter(customer=lu).update(
            as_of=october, deposits_adb=Decimal(1_018), adb_previous=Decimal(1_000)
        )
        Bank.objects.filter(pk=house.id).update(business_date=AS_OF)
        points = single.balance_trend(rm.actor, lu, as_of=AS_OF)
    assert points[-1].day == AS_OF
    client = client_for(rm)
    assert "▲ 1.8% on last month" in client.get(f"/customers/{lu.pk}/").content.decode()
    for url in (f"/customers/{lu.pk}/", f"/customers/{lu.pk}/print/"):
        html = client.get(url).content.decode()
        assert "19 Nov" in html, url
        assert "31 Oct" not in html, url


def test_a_picture_of_ten_says_how_many_more_there_are() -> None:
    tie: Any = SimpleNamespace(kind="supplier", share=None, note="", record_id=None)
    parties = [RelatedParty(tie, n, f"Party {n}", "Supplier", True) for n in range(1, 13)]
    shown = {"customer": SimpleNamespace(pk=7), "parties": parties, "shown": parties[:10]}
    panel = render_to_string(
        "customers/_panel_relations.html", {**shown, "graph": draw_relations("Acme", parties)}
    )
    assert "10 parties are drawn, 2 more are not:" in panel
    assert '<a href="/customers/7/ties/">the list of all 12 ties</a>' in panel
    few = {**shown, "parties": parties[:10], "graph": draw_relations("Acme", parties[:10])}
    assert "are drawn" not in render_to_string("customers/_panel_relations.html", few)


def test_no_words_of_the_relation_graph_meet() -> None:
    """Ten parties of long names, Chinese and Latin: every line of words has a row, and its side, to itself."""
    long = ("松泽农村商业银行股份有限公司第一分公司", "A very long name of a trading company, Limited")
    kinds = "母公司、实际控制人与担保人"
    relation = SimpleNamespace(share=Decimal("0.675"), kind="parent_company")
    parties: Any = [
        SimpleNamespace(
            customer_id=i, name=f"{i}{long[i % 2]}", relation=relation, kind_label=kinds, is_from=i % 3 == 0
        )
        for i in range(10)
    ]
    graph = draw_relations(long[0], parties)
    assert graph is not None
    boxes = []
    for node in graph.nodes:
        lines = [(node.text, node.text_y, 12), *([(node.kind, node.kind_y, 11)] if node.kind else [])]
        for text, y, size in lines:
            wide = sum(size if ord(letter) > 0x2E80 else 0.6 * size for letter in text)
            x = node.text_x - {"start": 0, "end": wide, "middle": wide / 2}[node.side]
            assert x >= 0 and x + wide <= graph.width and y <= graph.height, text
            boxes.append((x, y - size, x + wide, y))
    for i, a in enumerate(boxes):
        assert not any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in boxes[i + 1 :])
