"""A credit case walks from a phone in front of the customer to a line that core banking draws on: every step by another
person, in a browser; the last ones by core banking over HTTP.

The company is the seed's `case_customer`; it asks for more than headquarters may decide alone, so the committee votes and,
by the default policy, the president signs. Every kind of page on the way is checked once, and every form's paper opens.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.e2e.conftest import Reader, Site
from tests.e2e.seed import CASE_AMOUNT, CASE_PRODUCT, PASSWORD

Window = Callable[..., Reader]
PHOTO = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f0300050201"
    "ff38b5c4a60000000049454e44ae426082"
)


def _open_as(reader: Window, role: str, path: str, **window: Any) -> Reader:
    person = reader(**window)
    person.sign_in(role, to=path)
    return person


def _press(person: Reader, name: str) -> None:
    """Press a button of the form that goes on to another page."""
    with person.page.expect_navigation():
        person.page.get_by_role("button", name=name, exact=True).first.click()
    person.settle()


def _paper(person: Reader, path: str) -> str:
    """Open a form's paper and give its text."""
    person.open(path)
    assert person.faults == []
    assert person.page.locator(".sheet-title").count() == 1
    return person.text()


def _path(person: Reader) -> str:
    return urllib.parse.urlsplit(person.page.url).path


def _say(person: Reader, verdict: str, words: str, condition: str = "") -> None:
    """Give one's opinion on the case that is open, and prove who one is."""
    case = _path(person)
    person.page.locator(f"label.choice:has(input[name=verdict][value={verdict}])").click()
    if condition:
        person.page.fill("[name=conditions]", condition)
    person.page.fill("form[action$='/decide/'] [name=text]", words)
    _press(person, "Confirm who I am and submit")
    assert "reauthenticate" in person.page.url
    person.page.fill("[name=password]", PASSWORD)
    _press(person, "Confirm")
    assert _path(person) == case
    assert "Your opinion is on the record." in person.text()
    assert person.faults == []


def test_a_case_walks_from_the_field_to_a_line_that_core_banking_draws_on(reader: Window, site: Site) -> None:
    rm = _collected(reader, site.logins["case_customer"])
    _rated(reader, rm, site.logins["case_customer"])
    _calculated(rm, site.logins["case_customer"])
    case = _submitted(rm, site.logins["case_customer"])
    _decided(reader, case)
    line = _met(reader, rm, case)
    _drawn_on(site, line)
    auditor = _open_as(reader, "auditor", f"/credit/lines/{line}/")
    assert "1.5" in auditor.page.locator(".strip").first.inner_text()
    assert auditor.faults == []


def _collected(reader: Window, customer: str) -> Reader:
    """On the phone in front of the customer: the form saves itself while one types; then statements are looked at."""
    rm = _open_as(reader, "case_rm", f"/credit/customers/{customer}/collection/", phone=True)
    rm.check_page()
    rm.page.select_option("[name=source]", "document")
    with rm.page.expect_response(lambda r: r.url.endswith("/collection/") and r.request.method == "POST"):
        rm.page.fill("[name=growth]", "8")
        rm.page.fill("[name=needs]", "Payroll through this bank")
    rm.page.get_by_text("draft saved").wait_for()
    _press(rm, "Submit")
    assert "submitted" in rm.text()
    rm.open(f"/credit/customers/{customer}/statements/")
    rm.follow(rm.page.locator(f"a[href*='/customers/{customer}/statements/20']").first)
    rm.check_page()
    statement = _path(rm)
    assert rm.page.locator(".field-money:has([name=cash]) .field-unit").inner_text() == "CNY"
    rm.page.fill("[name=explanation]", "As audited")
    _lost_connection(rm, "Save")
    rm.open(statement)  # what was typed is still there, though the browser had shown its own page
    assert rm.page.input_value("[name=explanation]") == "As audited"
    _press(rm, "Save")
    assert "is saved" in rm.text()
    rm.open(statement)
    assert "Draft restored" not in rm.page.locator(".toasts").inner_text()
    rm.faults.clear()  # the browser's word about the connection
    return rm


def _lost_connection(person: Reader, button: str) -> None:
    """Press a button while no request gets through."""
    network = person.page.context
    network.route("**/*", lambda route: route.abort("internetdisconnected"))
    person.page.get_by_role("button", name=button, exact=True).click()
    person.page.wait_for_url("chrome-error://**")
    network.unroute("**/*")


def _rated(reader: Window, rm: Reader, customer: str) -> None:
    """The manager reckons and confirms; a reviewer, who is not the one of the case, decides."""
    rm.open(f"/credit/customers/{customer}/rating/")
    rm.check_page()
    _press(rm, "Reckon the rating")
    rating = _path(rm)
    _press(rm, "Send for review")
    second = _open_as(reader, "credit_reviewer_2", rating, language="zh")
    second.check_page()
    with second.page.expect_navigation():
        second.page.locator("button[name=act][value=approve]").click()
    second.settle()
    assert second.page.locator(".page-head .tag-ok").count()
    _paper(rm, f"{rating}print/")


def _calculated(rm: Reader, customer: str) -> None:
    """What-if moves the limit and saves nothing; what is on record is saved."""
    rm.open(f"/credit/customers/{customer}/calculation/")
    result = rm.page.locator("#calculation-result")
    rm.page.fill("[name=requested]", f"{CASE_AMOUNT}")
    result.get_by_text("Covered by guarantees").wait_for()
    rm.check_page()
    rm.page.select_option("[name=tried_type]", index=1)
    rm.page.fill("[name=tried_value]", "9000000")
    result.get_by_text("nothing of it is saved").wait_for()
    assert "The limit rises by" in result.inner_text()
    rm.page.fill("[name=tried_value]", "")
    rm.page.select_option("[name=tried_type]", "")
    result.get_by_text("nothing of it is saved").wait_for(state="detached")
    _press(rm, "Save the calculation")
    rm.check_page()
    saved = _path(rm)
    assert re.fullmatch(r"/credit/calculations/\d+/", saved)
    assert "Calculated limit" in _paper(rm, f"{saved}print/")


def _submitted(rm: Reader, customer: str) -> str:
    """The case is written, gets a photograph, and goes to the branch. Gives its address."""
    rm.open(f"/credit/customers/{customer}/cases/new/")
    rm.check_page()
    assert rm.page.input_value("[name=amount]").replace(",", "").startswith(str(CASE_AMOUNT))
    rm.page.select_option("[name=product]", label=CASE_PRODUCT)
    rm.page.fill("[name=purpose]", "Working capital for the spring orders")
    rm.page.fill("[name=investigation]", "Orders and machines were seen; buyers pay within 45 days.")
    _press(rm, "Save")
    case = _path(rm)
    assert re.fullmatch(r"/credit/cases/\d+/", case)
    rm.page.set_input_files(
        "[name=photo]", {"name": "workshop.png", "mimeType": "image/png", "buffer": PHOTO}
    )
    _press(rm, "Add to the case")
    assert "workshop.png" in rm.text()
    _press(rm, "Submit for approval")
    assert "The case is with: Branch." in rm.text()
    assert "workshop.png" in _paper(rm, f"{case}print/")
    return case


def _decided(reader: Window, case: str) -> None:
    """Branch, headquarters with a condition, the committee to its last vote, the president."""
    manager = _open_as(reader, "case_manager", "/credit/")
    manager.check_page()
    manager.follow(manager.page.locator(f"a[href^='{case}']").first)
    _say(manager, "approve", "The workshop runs in two shifts.")
    reviewer = _open_as(reader, "credit_reviewer", case)
    _say(reviewer, "conditional", "Cash flow bears it.", "Insurance of the machines names the bank")
    members = sorted(role for role in reviewer.site.logins if role.startswith("committee_member"))
    assert len(members) >= 3
    for place, role in enumerate(members):
        member = _open_as(reader, role, case, phone=place == 0)
        if place == 0:
            member.check_page()
            text = member.text()
            for part in ("Credit rating", "Line calculation", "Suggested rate", "Group exposure and caps",
                         "Exposures at other banks", "Guarantees", "Conditions precedent", "Files",
                         "Lines, warnings and earlier decisions", "Opinions"):  # fmt: skip
                assert part in text, part
        _say(member, "reject" if place == 1 else "approve", f"Vote {place}")
        if 0 < place < len(members) - 1:
            assert "Hidden until all have voted" in member.text()
            assert "Vote 0" not in member.text()
    president = _open_as(reader, "president", case, theme="dark")
    president.check_page()
    assert "Vote 0" in president.text()
    _say(president, "approve", "Signed.")
    assert "Credit line" in president.text()


def _met(reader: Window, rm: Reader, case: str) -> str:
    """The condition is evidenced by the manager and accepted by risk, who then frees the line. Gives the line's id."""
    rm.open(case)
    rm.page.fill("[name=evidence]", "Policy 2026-118 seen")
    rm.page.set_input_files(
        "[name=files]", {"name": "policy.png", "mimeType": "image/png", "buffer": PHOTO + b"\0"}
    )
    _press(rm, "Save")
    assert rm.page.get_by_role("button", name="Accept", exact=True).count() == 0
    risk = _open_as(reader, "risk", case)
    _press(risk, "Accept")
    risk.follow(risk.page.locator("a[href*='/credit/lines/']").first)
    risk.page.fill("[name=reason]", "All conditions are met")
    _press(risk, "Activate the line")
    assert risk.page.locator(".page-head .tag").first.inner_text() == "Active"
    risk.check_page()
    line = _path(risk)
    _paper(risk, f"{line}print/")
    return line.strip("/").rpartition("/")[2]


@dataclass
class Core:
    """Core banking: a machine client over HTTP."""

    site: Site
    token: str = ""

    def sign_in(self) -> None:
        form = {
            "grant_type": "client_credentials", "client_id": self.site.logins["core_id"],
            "client_secret": self.site.logins["core_secret"], "scope": "lines:control",
        }  # fmt: skip
        where = self._send("/.well-known/openid-configuration")[1]["token_endpoint"]
        data = urllib.parse.urlencode(form).encode()
        self.token = self._send(urllib.parse.urlsplit(where).path, data)[1]["access_token"]

    def call(
        self, path: str, body: dict[str, str] | None = None, key: str = ""
    ) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return self._send(f"/api/v1/{path}", data, headers | ({"Idempotency-Key": key} if key else {}))

    def _send(
        self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        host = f"demo.localhost:{self.site.port}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.site.port}{path}", data, {"Host": host, **(headers or {})}
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def _drawn_on(site: Site, line: str) -> None:
    """Checked, reserved, drawn, repaid; more than there is, and the same call again."""
    core = Core(site)
    core.sign_in()
    amount = {"amount": "2000000.00", "currency": "CNY", "reference": "L2026-7"}
    assert core.call(f"lines/{line}/check", amount)[0] == 200
    status, held = core.call(f"lines/{line}/reservations", amount, "e2e-1")
    assert (status, held["status"]) == (201, "reserved")
    assert core.call(f"lines/{line}/reservations", amount, "e2e-1")[1]["id"] == held["id"]
    status, refused = core.call(f"lines/{line}/reservations", {**amount, "amount": "3200000.00"}, "e2e-2")
    assert (status, refused["code"]) == (409, "insufficient_limit")
    status, drawn = core.call(f"reservations/{held['id']}/commit", {}, "e2e-3")
    assert (status, drawn["status"]) == (200, "committed")
    assert core.call(f"lines/{line}/repayments", {**amount, "amount": "500000.00"}, "e2e-4")[0] == 200
    now = core.call(f"lines/{line}")[1]
    figures = {name: now[name] for name in ("limit", "reserved", "utilised", "available", "status")}
    assert figures == {
        "limit": f"{CASE_AMOUNT}.00", "reserved": "0.00", "utilised": "1500000.00", "available": "3600000.00",
        "status": "active",
    }  # fmt: skip
