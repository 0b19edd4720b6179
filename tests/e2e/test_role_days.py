"""A real browser walks the day of each role: sign in, see what to do, do it, look behind the figures.

Every page a role opens is checked for content-policy violations, script errors, overflow and WCAG AA (axe).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.e2e.conftest import Reader

Window = Callable[..., Reader]


def test_relationship_manager(reader: Window) -> None:
    rm = reader()
    rm.sign_in("relationship_manager")
    rm.check_page()
    rows = rm.page.locator("li.worklist-row")
    assert rows.count() >= 1
    assert rows.count() <= 8
    # Put off within the row, by keyboard: the row goes, the counts follow, and it is taken back.
    name, today = rows.first.locator(".worklist-name a"), rm.page.locator("#day-done")
    first, before = name.inner_text(), today.inner_text()
    rows.first.get_by_role("link", name="Later").press("Enter")
    rm.page.locator("[data-work-form] button:focus").wait_for()
    rm.check_page()
    rm.page.keyboard.press("Enter")
    expect(today).not_to_have_text(before)
    rm.page.get_by_role("button", name="Undo").click()
    expect(today).to_have_text(before)
    assert name.inner_text() == first
    # The list, a filter, and one customer's page with all its panels.
    rm.open("/customers/")
    rm.check_page()
    rm.follow(rm.page.locator("a[data-row-open]").first)
    customer = rm.page.url
    assert re.search(r"/customers/\d+/", customer)
    rm.check_page()
    assert "could not" not in rm.text().lower()
    # Log a contact with a promise; it shows on the page.
    rm.page.keyboard.press("c")
    rm.page.locator("input[name=channel]").first.wait_for()
    rm.page.locator("label.choice:has(input[name=channel][value=call])").click()
    rm.page.locator("label.choice:has(input[name=result])").first.click()
    rm.page.fill("[name=note]", "Asked about the term deposit")
    rm.page.get_by_role("button", name="Save").click()
    rm.page.get_by_text("Asked about the term deposit").first.wait_for()
    rm.settle()
    # On to the next customer by key.
    rm.page.keyboard.press("j")
    rm.page.wait_for_url(lambda url: url != customer and "/customers/" in url)


def test_search_as_one_types(reader: Window) -> None:
    rm = reader(language="zh")
    rm.sign_in("relationship_manager")
    rm.open("/customers/")
    name = rm.page.locator("a[data-row-open]").first.inner_text().strip()
    rm.open(f"/search/?q={name[:2]}")
    assert name in rm.text()
    rm.check_page()


def test_identifiers_stay_masked_until_a_reason_is_given(reader: Window) -> None:
    rm = reader()
    rm.sign_in("relationship_manager")
    rm.open("/customers/")
    rm.follow(rm.page.locator("a[data-row-open]").first)
    assert "•" in rm.text()
    assert re.search(r"\b\d{17}[\dX]\b", rm.page.content()) is None


def test_branch_manager(reader: Window) -> None:
    manager = reader()
    manager.sign_in("branch_manager")
    manager.check_page()
    assert "Needs you today" in manager.text()
    manager.open("/relationship/queue/")
    manager.check_page()
    boxes = manager.page.locator("tbody input[type=checkbox]:not([disabled])")
    if boxes.count():
        before = boxes.count()
        boxes.first.check()
        manager.page.get_by_role("button", name=re.compile("Approve")).first.click()
        manager.settle()
        yes = manager.page.locator("dialog[open] .btn-primary")
        if yes.count():
            yes.first.click()
            manager.settle()
        manager.open("/relationship/queue/")
        assert manager.page.locator("tbody input[type=checkbox]:not([disabled])").count() <= before


def test_headquarters(reader: Window) -> None:
    risk = reader(theme="dark")
    risk.sign_in("risk")
    risk.check_page()
    for path in ("/segmentation/", "/segmentation/policies/", "/segmentation/churn/", "/relationship/bank/"):
        risk.open(path)
        risk.check_page()
    # Charts below the fold are drawn without scrolling: for a print or a jump to the page's end.
    risk.open("/segmentation/")
    charts = risk.page.locator("[data-chart]")
    assert charts.count()
    expect(risk.page.locator("[data-chart]:not(:has(svg))")).to_have_count(0)
    risk.open("/relationship/bank/")
    # A branch's dashboard and the list behind a figure agree on the way down.
    risk.follow(risk.page.locator("a[href*='/relationship/branches/']").first)
    risk.check_page()


def test_administrator(reader: Window) -> None:
    administrator = reader()
    administrator.sign_in("administrator")
    administrator.check_page()
    for path in (
        "/settings/",
        "/settings/staff/",
        "/settings/organisation/",
        "/jobs/",
        "/audit/",
        "/customers/imports/",
    ):
        administrator.open(path)
        administrator.check_page()


def test_operator(reader: Window) -> None:
    operator = reader()
    operator.sign_in("operator", code="platform")
    operator.check_page()
    operator.open("/banks/", code="platform")
    operator.check_page()
    assert "demo" in operator.text()


def test_a_phone_in_the_field(reader: Window) -> None:
    rm = reader(language="zh", phone=True)
    rm.sign_in("relationship_manager")
    rm.check_page()
    rm.open("/customers/")
    rm.check_page()
    rm.follow(rm.page.locator("a[data-row-open]").first)
    rm.check_page()
    customer = urlsplit(rm.page.url).path
    for page in ("?tab=business", "contacts/new/"):
        rm.open(f"{customer}{page}")
        rm.check_page()
    # The fourth tab leads to credit, and the last one to everything else.
    rm.page.locator(".tabbar a[href='/credit/']").click()
    rm.settle()
    rm.page.locator(".tabbar a").last.click()
    rm.settle()
    rm.check_page()
    assert rm.page.locator("main a[href='/relationship/']").is_visible()


def test_a_stranger_learns_nothing(reader: Window) -> None:
    stranger = reader()
    stranger.page.goto(stranger.site.url("/customers/1/"))
    assert "/accounts/login/" in stranger.page.url
    stranger.check_page()
