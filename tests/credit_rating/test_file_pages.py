"""The credit file in a browser: every page opens, what is typed comes back with what is wrong, nothing is lost."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.html import escape
from django.utils.translation import override

from credit_rating import words
from credit_rating.engine.ratios import ITEMS
from credit_rating.models import (
    CreditPolicy,
    Guarantee,
    InformationForm,
    LineCalculation,
    RelatedParty,
    Statement,
)
from credit_rating.services.ratings import generate_rating, submit_rating
from crm_site.audit.models import Entry
from crm_site.lib import formats
from crm_site.lib.tenancy import bank
from customers.models import Customer
from tests.conftest import NOW, TODAY, House, Person
from tests.credit_rating import book
from tests.customers.factories import make_customer

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def company(house: House, rm: Person) -> Customer:
    with bank(house.id):
        found = make_customer(
            "Silian", kind="corporate", size="medium", home_branch=house.north, responsible=rm.staff
        )
        book.add_statements(found)
        book.collect(rm.actor, found)
        book.mortgage(rm.actor, found)
        book.add_capital()
    return found


@pytest.fixture
def browser(rm: Person, client_for: Callable[[Person], Client]) -> Client:
    return client_for(rm)


def test_a_line_is_reckoned_with_the_grade_that_waits_for_review(
    house: House, company: Customer, rm: Person, browser: Client
) -> None:
    """Until it is decided the newest confirmed grade is the best guess, and the page says whose it is."""
    with bank(house.id):
        made = generate_rating(rm.actor, customer=company, answers={}, day=TODAY, now=NOW)
        submit_rating(
            rm.actor,
            rating_id=made.pk,
            grade=made.model_grade,
            reason="",
            seen=made.stamp,
            day=TODAY,
            now=NOW,
        )
    page = browser.get(f"/credit/customers/{company.pk}/calculation/")
    assert f"the grade of {made.number}, which waits for review" in page.content.decode()
    assert page.context["form"]["grade"].value() == made.model_grade


def test_the_calculation_moves_while_one_types_and_is_saved_once(
    house: House, company: Customer, browser: Client
) -> None:
    url = f"/credit/customers/{company.pk}/calculation/"
    asked = {"grade": "A", "term_months": "12", "requested": "3000000", "discount": "none"}
    whole = browser.get(url, asked)
    assert whole.status_code == 200
    assert "4.8" in whole.content.decode()  # the limit, 4.77 million
    part = browser.get(url, {**asked, "tried_type": "residence", "tried_value": "1000000"}, **HTMX)
    assert "<html" not in part.content.decode()
    assert "The limit rises by" in part.content.decode()
    refused = browser.post(url, {**asked, "tried_type": "residence", "tried_value": "1000000"})
    assert refused.status_code == 422
    assert "only tried" in refused.content.decode()
    saved = browser.post(url, asked)
    assert saved.status_code == 302
    assert browser.post(url, asked).headers["Location"] == saved.headers["Location"]
    with bank(house.id):
        assert LineCalculation.objects.count() == 1
    for address in (saved.headers["Location"], f"{saved.headers['Location']}print/"):
        text = browser.get(address).content.decode()
        assert "Working capital method" in text
        assert "4,7" in text or "4.8" in text
    assert browser.get(url, {**asked, "term_months": "0"}).status_code == 200


def test_a_draft_is_saved_while_one_types_and_two_people_see_what_both_changed(
    house: House,
    company: Customer,
    browser: Client,
    branch_manager: Person,
    client_for: Callable[[Person], Client],
) -> None:
    url = f"/credit/customers/{company.pk}/collection/"
    assert "Own funds" in browser.get(url).content.decode()
    base = json.dumps(book.COMPANY | {"growth": "0.1"})
    mine = browser.post(url, {"own_funds": "2000000", "base": base, "source": "seen"}, **HTMX)
    assert "draft saved" in mine.content.decode()
    other = client_for(branch_manager)
    theirs = other.post(
        url, {"own_funds": "3000000", "purpose": "cloth", "base": base}, **HTMX
    ).content.decode()
    assert "somebody wrote 2000000 meanwhile" in theirs
    with bank(house.id):
        draft = InformationForm.objects.get(status="draft")
        assert draft.values["own_funds"]["value"] == "2000000"
        assert draft.values["purpose"]["value"] == "cloth"  # the rest of theirs is not lost
    submitted = other.post(url, {"own_funds": "3000000", "base": base, "submit": "1"})
    assert submitted.status_code == 409
    assert 'value="3000000"' in submitted.content.decode()
    kept = other.post(
        url,
        {
            "own_funds": "3000000",
            "base": base,
            "keep": "own_funds",
            "theirs": json.dumps({"own_funds": "2000000"}),
        },
    )
    assert kept.status_code == 302
    with bank(house.id):
        draft.refresh_from_db()
        assert draft.values["own_funds"]["value"] == "3000000"
    wrong = browser.post(url, {"growth": "much", "base": base}, **HTMX).content.decode()
    assert "Write a number" in wrong
    assert browser.post(url, {"base": base, "submit": "1"}).status_code == 302
    with bank(house.id):
        assert not InformationForm.objects.filter(status="draft").exists()


def test_statements_are_typed_with_faults_beside_the_line(
    house: House, company: Customer, browser: Client
) -> None:
    url = f"/credit/customers/{company.pk}/statements/"
    text = browser.get(url).content.decode()
    assert "Debt ratio" in text
    assert escape("Total liabilities ÷ Total assets") in text
    edit = f"{url}2022/"
    assert browser.get(edit).status_code == 200
    given = {**book.figures(), "report_date": "2022-12-31", "explanation": ""}
    wrong = browser.post(edit, {**given, "total_assets": "1"})
    assert wrong.status_code == 422
    assert "assets differ from liabilities and equity" in wrong.content.decode()
    assert browser.post(edit, {**given, "explanation": "first year"}).status_code == 302
    with bank(house.id):
        assert Statement.objects.filter(customer=company, year=2022).exists()


def _sheet(rows: list[list[Any]]) -> SimpleUploadedFile:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    file = io.BytesIO()
    workbook.save(file)
    return SimpleUploadedFile("annual.xlsx", file.getvalue())


def test_statements_are_uploaded_all_or_none(house: House, company: Customer, browser: Client) -> None:
    url = f"/credit/customers/{company.pk}/statements/upload/"
    assert browser.get(url).status_code == 200
    with bank(house.id):
        Statement.objects.filter(customer=company).delete()
    figures = book.figures()
    rows: list[list[Any]] = [["项目", "2024年", "2025年"]]
    rows += [
        [{"sales": "营业收入", "cash": "货币资金"}.get(i, i), float(v), float(v)] for i, v in figures.items()
    ]
    bad = [row if row[0] != "equity" else ["equity", 1, row[2]] for row in rows]
    refused = browser.post(url, {"file": _sheet(bad)})
    assert refused.status_code == 422
    assert "adds up" in refused.content.decode() or "add up" in refused.content.decode()
    with bank(house.id):
        assert not Statement.objects.filter(customer=company).exists()
    assert browser.post(url, {"file": _sheet(rows)}).status_code == 302
    with bank(house.id):
        assert Statement.objects.get(customer=company, year=2025).amounts["sales"] == Decimal(
            figures["sales"]
        )
    lines = "item,2023\n" + "\n".join(f"{i},{v}" for i, v in figures.items()) + "\nGoodwill of sorts,5\n"
    assert browser.post(url, {"file": SimpleUploadedFile("a.csv", lines.encode())}).status_code == 302
    for name, content in (
        ("a.csv", b"\xff\xfe\x00bad"),
        ("a.xlsx", b"no zip"),
        ("a.csv", b"item,amount\ncash,1\n"),
    ):
        assert browser.post(url, {"file": SimpleUploadedFile(name, content)}).status_code == 422


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_what_the_template_gives_is_read_as_it_was_filled_in(
    house: House, company: Customer, browser: Client, language: str
) -> None:
    url = f"/credit/customers/{company.pk}/statements/"
    given = browser.get(f"{url}template/", HTTP_ACCEPT_LANGUAGE=language)
    assert given["Content-Disposition"] == f'attachment; filename="statements-{company.number}.xlsx"'
    blank = SimpleUploadedFile("blank.xlsx", given.content)
    assert browser.post(f"{url}upload/", {"file": blank}).status_code == 422
    filled = openpyxl.load_workbook(io.BytesIO(given.content))
    sheet: Any = filled.active
    label = {"en": "Cash", "zh-hans": "货币资金"}[language]
    assert label in [row[0].value for row in sheet.iter_rows()]
    assert [cell.value for cell in sheet[1]][1:] == [TODAY.year - 3, TODAY.year - 2, TODAY.year - 1]
    figures, items = book.figures(), iter([item for items in ITEMS.values() for item in items])
    with override(language):
        headings = {str(name) for name in words.SHEETS.values()}
    for row in list(sheet.iter_rows(min_row=2)):
        if row[0].value not in headings:
            row[-1].value = float(figures[next(items)])
    with bank(house.id):
        Statement.objects.filter(customer=company).delete()
    file = io.BytesIO()
    filled.save(file)
    answer = browser.post(
        f"{url}upload/", {"file": SimpleUploadedFile("full.xlsx", file.getvalue())}, follow=True
    )
    assert "left out" not in answer.content.decode() and "未识别" not in answer.content.decode()
    with bank(house.id):
        kept = Statement.objects.get(customer=company).amounts
    assert kept == {item: Decimal(amount) for item, amount in figures.items()}


def test_guarantees_are_entered_valued_put_in_force_and_released(
    house: House,
    company: Customer,
    browser: Client,
    hq_credit: Person,
    client_for: Callable[[Person], Client],
) -> None:
    url = f"/credit/customers/{company.pk}/guarantees/"
    assert "Factory 388" in browser.get(url).content.decode()
    thing = {
        "asset_type": "factory", "name": "The same", "registration_number": "沪（2021）松字第012345号", "amount": "100",
        "lien_order": "1", "value": "200", "valued_on": "2026-11-01", "valuer": "X", "from_date": "2026-11-01",
    }  # fmt: skip
    twice = browser.post(f"{url}thing/", thing)
    assert twice.status_code == 422
    assert "next free rank is 2" in twice.content.decode()
    assert browser.post(f"{url}thing/", {**thing, "lien_order": "2"}).status_code == 302
    missing = browser.post(
        f"{url}promise/", {"guarantor_number": "nobody", "amount": "5", "from_date": "2026-11-01"}
    )
    assert missing.status_code == 422
    with bank(house.id):
        first = Guarantee.objects.earliest("id")
    assert browser.get(f"/credit/guarantees/{first.pk}/value/").status_code == 200
    again = {"value": "5000000", "valued_on": "2026-11-10", "valuer": "Zhongjing"}
    assert browser.post(f"/credit/guarantees/{first.pk}/value/", again).status_code == 302
    reviewer = client_for(hq_credit)
    form = f"/credit/guarantees/{first.pk}/in-force/"
    assert "Number of the registration certificate" in reviewer.get(form).content.decode()
    nothing = reviewer.post(form, {"proof_number": "", "proof_on": ""})
    assert nothing.status_code == 422
    assert nothing.content.decode().count("This field is required.") == 2
    early = reviewer.post(form, {"proof_number": "T-98", "proof_on": "2099-01-01"})
    assert early.status_code == 422
    said = early.content.decode()
    assert "It must not lie in the future." in said[said.index('name="proof_on"') :]
    assert reviewer.post(form, {"proof_number": "T-98", "proof_on": "2026-11-02"}).status_code == 302
    assert "certificate T-98, registered on 2 Nov 2026" in reviewer.get(url).content.decode()
    assert "Add its proof" not in reviewer.get(url).content.decode()
    with bank(house.id):
        second = Guarantee.objects.latest("id")
        Guarantee.objects.filter(pk=second.pk).update(
            status="active"
        )  # in force since before a proof was asked
    listed = reviewer.get(url).content.decode()
    form = f"/credit/guarantees/{second.pk}/proof/"
    assert "in force without a certificate or contract on record" in listed and f'href="{form}"' in listed
    assert f'href="{form}"' not in browser.get(url).content.decode()
    assert "Factory 388" in reviewer.get(form).content.decode()
    assert reviewer.post(form, {"proof_number": "T-99", "proof_on": "2026-11-03"}).status_code == 302
    assert "certificate T-99, registered on 3 Nov 2026" in reviewer.get(url).content.decode()
    again = reviewer.post(form, {"proof_number": "T-100", "proof_on": "2026-11-03"})
    assert again.status_code == 422 and "on record already" in again.content.decode()
    with bank(house.id):
        entry = Entry.objects.filter(object_table="credit_rating_guarantee", object_id=second.pk).latest("id")
    assert entry.actor_id == hq_credit.staff.pk and entry.changes["proof_number"] == ["", "T-99"]
    assert reviewer.post(f"/credit/guarantees/{first.pk}/release/").status_code == 302
    with bank(house.id):
        first.refresh_from_db()
        assert first.status == "released"


def test_the_registers_are_kept_by_risk_and_read_by_others(
    house: House, company: Customer, browser: Client, hq_risk: Person, client_for: Callable[[Person], Client]
) -> None:
    risk = client_for(hq_risk)
    assert "30 Sep 2026" in browser.get("/credit/registers/").content.decode()
    capital = {"as_of": "2026-10-31", "net_capital": "100", "tier1_net_capital": "200", "source": "1104"}
    assert risk.post("/credit/registers/capital/", capital).status_code == 422
    assert risk.post("/credit/registers/capital/", {**capital, "tier1_net_capital": "90"}).status_code == 302
    entry = {
        "customer_number": company.number,
        "kind": "controlled",
        "basis": "a director owns it",
        "from_date": "2026-11-01",
    }
    assert risk.post("/credit/registers/related/", entry).status_code == 302
    assert risk.post("/credit/registers/related/", entry).status_code == 422
    assert "a director owns it" in browser.get("/credit/registers/").content.decode()


def test_the_register_lists_whom_the_core_names_as_well_and_says_why(
    house: House, company: Customer, browser: Client, hq_risk: Person, client_for: Callable[[Person], Client]
) -> None:
    with bank(house.id):
        told = make_customer("Told by core", kind="corporate", home_branch=house.south, is_related_party=True)
        ended = RelatedParty.objects.create(
            customer=company, kind="director", basis="sat on the board", from_date=TODAY - dt.timedelta(days=90),
            to_date=TODAY - dt.timedelta(days=1), entered_by=hq_risk.staff, entered_at=NOW,
        )  # fmt: skip
    risk, address = client_for(hq_risk), "/credit/registers/"
    page = risk.get(address).content.decode()
    assert "Told by core" in page and "core banking" in page and ended.basis not in page
    assert "Told by core" not in risk.get(address, {"source": "bank"}).content.decode()
    assert ended.basis in risk.get(address, {"source": "past"}).content.decode()
    assert "Told by core" in risk.get(address, {"source": "core", "q": "told BY"}).content.decode()
    opened = risk.get(f"/credit/registers/related/of/{told.pk}/").content.decode()
    assert "Marked as a related party in the core" in opened  # why
    assert escape("All related parties ≤ last quarter's net capital") in opened  # what it counts to
    # A manager of another branch's customers learns how many there are, not who.
    other = browser.get(address).content.decode()
    assert (
        "Told by core" not in other and "1 related party is not among your customers and not shown" in other
    )
    assert browser.get(f"/credit/registers/related/of/{told.pk}/").status_code == 404


def test_the_customer_page_leads_to_each_step_of_the_credit_file_and_says_what_stands(
    company: Customer, browser: Client
) -> None:
    file = f"/credit/customers/{company.pk}/"
    page = browser.get(f"/customers/{company.pk}/").content.decode()
    assert f'hx-get="{file}file/"' in page  # the panel, and on the phone a quick action
    assert f'<a href="{file}file/">' in page
    text = browser.get(f"{file}file/", **HTMX).content.decode()
    for step in ("collection/", "statements/", "rating/", "guarantees/", "calculation/", "cases/new/"):
        assert f'href="{file}{step}"' in text
    assert "newest 2025" in text
    assert "usable" in text
    assert "not rated" in text


@pytest.mark.parametrize(
    ("published", "is_old"), [(dt.date(2025, 5, 20), True), (TODAY - dt.timedelta(days=2), False)]
)
def test_a_price_says_when_its_loan_prime_rate_is_old(
    house: House, company: Customer, browser: Client, published: dt.date, is_old: bool
) -> None:
    """It is published every month: whose bank has entered none since is told on every price."""
    with bank(house.id):
        policy = CreditPolicy.objects.get(subject="pricing")
        policy.body["tables"]["lpr"] = [
            {"date": published.isoformat(), "one_year_pct": "3.00", "five_year_pct": "3.50"}
        ]
        policy.save(update_fields=["body"])
    page = browser.get(f"/credit/customers/{company.pk}/calculation/").content.decode()
    assert f"published on {formats.day(published)}" in page
    assert ("days old: it is published every month" in page) is is_old


@pytest.mark.parametrize("page", ["collection/", "statements/2024/", "calculation/", "cases/new/"])
def test_every_amount_that_is_typed_says_in_what(company: Customer, browser: Client, page: str) -> None:
    html = browser.get(f"/credit/customers/{company.pk}/{page}").content.decode()
    boxes = html.split(" data-amount>")[1:]
    assert boxes
    assert all('<span class="field-unit">CNY</span>' in box.split("</div>")[0] for box in boxes)


def test_the_collection_form_goes_on_paper_in_words(company: Customer, browser: Client) -> None:
    paper = browser.get(f"/credit/customers/{company.pk}/collection/print/").content.decode()
    assert "CNY 1,000,000.00" in paper  # own funds
    assert "10%" in paper  # expected growth, kept as 0.1
    assert "The customer confirms that this is true" in paper
    assert "submitted" in paper
