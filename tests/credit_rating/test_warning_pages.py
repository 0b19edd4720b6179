"""Pages of early warning and of five-level classes: who sees what, what a click does, and what a mistake says."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from credit_rating.engine.classes import Level
from credit_rating.models import CreditPolicy, Downgrade, ExternalExposure, LoanClass, Signal
from credit_rating.policies import SHAPES, read
from credit_rating.policies.classes import default, say_rule
from credit_rating.policies.warnings import default as default_rules
from credit_rating.policies.warnings import newer_rules
from crm_site.lib import formats
from crm_site.lib.tenancy import bank
from customers.models import Customer, Loan
from tests.architecture.places import a_customer
from tests.conftest import House, Person
from tests.credit_rating.arrears import a_loan, night, owes, set_days, told_loss

SignIn = Callable[[Person], Client]


@pytest.fixture
def signal(house: House, rm: Person) -> Signal:
    with bank(house.id):
        set_days(a_loan(a_customer(house, rm.staff), "L1"), 12)
        night(house)
        night(house, step="warnings")
        return Signal.objects.get()


def test_the_list_the_panel_and_the_warning_name_rule_figure_and_class(
    signal: Signal, rm: Person, client_for: SignIn
) -> None:
    client = client_for(rm)
    listed = client.get("/credit/warnings/").content.decode()
    assert f"/credit/warnings/{signal.pk}/" in listed and "Matrix Works" in listed
    assert "Overdue beyond a technical delay" in listed and "Days past due 12 · as of " in listed
    panel = client.get(f"/credit/customers/{signal.customer_id}/warnings/").content.decode()
    assert "Overdue beyond a technical delay" in panel and "Special mention" in panel
    page = client.get(f"/credit/warnings/{signal.pk}/").content.decode()
    assert "Days past due above 7 days" in page and 'name="act"' in page
    assert "Matrix Works" not in client.get("/credit/warnings/?level=watch").content.decode()


def test_a_colleague_of_another_branch_and_an_auditor_do_nothing_with_it(
    signal: Signal, rm: Person, rm_other_branch: Person, auditor: Person, client_for: SignIn
) -> None:
    other = client_for(rm_other_branch)
    assert "Matrix Works" not in other.get("/credit/warnings/").content.decode()
    assert other.get(f"/credit/warnings/{signal.pk}/").status_code == 404
    page = client_for(auditor).get(f"/credit/warnings/{signal.pk}/").content.decode()
    assert 'name="act"' not in page
    assert f"It is the turn of {rm.staff.name}, by {formats.day(signal.due_on)}" in page


def test_an_answer_needs_a_note_and_ends_the_work(
    signal: Signal, house: House, rm: Person, client_for: SignIn
) -> None:
    client, address = client_for(rm), f"/credit/warnings/{signal.pk}/act/"
    assert client.post(address, {"act": "dealt", "note": ""}).status_code == 422
    assert client.post(address, {"act": "pass_on", "note": "x"}).status_code == 422
    assert client.post(address, {"act": "dealt", "note": "Pays on Friday"}).status_code == 302
    assert "Pays on Friday" in client.get(f"/credit/warnings/{signal.pk}/").content.decode()
    assert "Matrix Works" not in client.get("/credit/warnings/").content.decode()
    assert "Matrix Works" in client.get("/credit/warnings/?state=answered").content.decode()
    assert client.post(address, {"act": "false_alarm", "note": "no"}).status_code == 409


def test_risk_sets_a_class_by_hand_in_the_page(
    signal: Signal, house: House, rm: Person, hq_risk: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        loan = LoanClass.objects.get().loan_id
    page, address = f"/credit/customers/{signal.customer_id}/classes/", f"/credit/loans/{loan}/class/"
    assert 'name="act"' not in client_for(rm).get(page).content.decode()
    assert client_for(rm).post(address, {"act": "lower", "level": "loss", "reason": "x"}).status_code == 403
    risk = client_for(hq_risk)
    wrong = risk.post(address, {"act": "lower", "level": "special_mention", "reason": "x"})
    assert wrong.status_code == 400 or wrong.status_code == 422
    assert "It must be worse than Special mention." in wrong.content.decode()
    done = {"act": "lower", "level": "doubtful", "reason": "Expected loss 60%"}
    assert risk.post(address, done).status_code == 302
    shown = risk.get(page).content.decode()
    assert "at least Doubtful" in shown and "Expected loss 60%" in shown
    with bank(house.id):
        assert Downgrade.objects.get().level == 4
        assert Decimal(LoanClass.objects.get().figures["outstanding"]) == 1000


def test_the_class_stands_beside_the_name_and_the_panel_opens_the_customers_warnings(
    signal: Signal, house: House, rm: Person, marketing: Person, client_for: SignIn
) -> None:
    def head(person: Person) -> str:
        page = client_for(person).get(f"/customers/{signal.customer_id}/").content.decode()
        return page[page.index("customer-head") : page.index("customer-lines")]

    assert "class-special_mention" in head(rm)
    assert f"/credit/customers/{signal.customer_id}/classes/" in head(rm)
    assert "class-special_mention" not in head(marketing)  # no part in credit
    with bank(house.id):
        customer = signal.customer
        customer.is_excluded = customer.is_related_party = True
        customer.status = "dormant"
        customer.save()
    assert head(rm).count('<span class="tag') <= 4
    panel = client_for(rm).get(f"/credit/customers/{customer.pk}/warnings/").content.decode()
    assert "/credit/warnings/?customer=M-1" in panel
    client_for(rm).post(f"/credit/warnings/{signal.pk}/act/", {"act": "dealt", "note": "Pays on Friday"})
    assert "Matrix Works" in client_for(rm).get("/credit/warnings/?customer=M-1").content.decode()
    with bank(house.id):
        LoanClass.objects.update(level=1)
    assert "class-normal" not in head(rm)


def test_a_class_names_the_threshold_that_decided_it(
    signal: Signal, auditor: Person, client_for: SignIn
) -> None:
    client = client_for(auditor)
    for page in ("/credit/classes/", f"/credit/customers/{signal.customer_id}/classes/"):
        assert "overdue for more than 7 days" in client.get(page).content.decode(), page


def test_the_page_of_classes_says_what_is_told_of_expected_loss_and_of_all_banks(
    signal: Signal, house: House, rm: Person, client_for: SignIn
) -> None:
    page = f"/credit/customers/{signal.customer_id}/classes/"
    before = client_for(rm).get(page).content.decode()
    assert "not delivered: the class does not rest on it" in before and "Debts at all banks" not in before
    with bank(house.id):
        Customer.objects.update(size="large")
        told_loss(Loan.objects.get(), "10.00")
        owes(signal.customer, "A", "3000.00", 91)
    shown = client_for(rm).get(page).content.decode()
    assert "1.0% of the balance" in shown and "stage 2, as of" in shown
    assert "75.0% is overdue for more than 90 days; above 20% all claims are at least substandard." in shown
    with bank(house.id):
        ExternalExposure.objects.update(currency="USD")
    assert "no exchange rate is on record" in client_for(rm).get(page).content.decode()


def test_each_rule_of_classes_is_said_with_the_policys_own_figure() -> None:
    given = dict(default(""))
    rows = [
        r | {"days": "80"} if r["asset"] == "card" and r["level"] == "substandard" else r
        for r in given["tables"]["overdue"]
    ]
    body = read(SHAPES["classes"], {**given, "tables": {**given["tables"], "overdue": rows}})
    said = {
        ("overdue", Level.SUBSTANDARD, True): "overdue for more than 80 days",
        ("overdue", Level.SUBSTANDARD, False): "overdue for more than 90 days",
        ("cure", Level.SUBSTANDARD, False): "free of arrears for less than 6 months",
        ("contagion", Level.SUBSTANDARD, False): "more than 10% of the claims on the debtor",
        ("loss", Level.DOUBTFUL, False): "expected loss of 50% of the balance or more",
        ("loss", Level.LOSS, False): "expected loss of 90% of the balance or more",
        ("all_banks", Level.SUBSTANDARD, False): "over 20% of all debts overdue for more than 90 days",
        ("none", Level.NORMAL, False): "not overdue for more than 7 days",
        ("by_hand", Level.LOSS, False): "",
    }
    for (reason, level, is_card), text in said.items():
        assert say_rule(body, level, reason, is_card=is_card) == text


def test_a_policy_of_before_a_rule_says_so_and_drafts_with_it(
    house: House, hq_risk: Person, president: Person, client_for: SignIn
) -> None:
    """A later program's rule warns nobody until a version has it: who drafts is told and begins with it; what the bank
    has had and dropped is not brought back."""
    with bank(house.id):
        policy = CreditPolicy.objects.get(subject="warnings")
        tables = policy.body["tables"]
        tables["rules"] = [row for row in tables["rules"] if row["code"] not in ("excluded", "churn")]
        tables["conditions"] = [
            row for row in tables["conditions"] if row["rule"] not in ("excluded", "churn")
        ]
        policy.save(update_fields=["body"])
        assert newer_rules(policy.body, [default_rules("")]) == []
    client, address = client_for(hq_risk), f"/credit/policies/{policy.pk}/"
    assert "2 newer rules not in it" in client.get("/credit/policies/").content.decode()
    page = client.get(address).content.decode()
    assert "2 rules that came with a later program are not in this version" in page
    assert "On the exclusion list" in page and f"{address}edit/?newer=1" in page
    draft = client.get(f"{address}edit/?newer=1").content.decode()
    assert 'value="excluded"' in draft and 'value="churn"' in draft
    assert 'value="excluded"' not in client.get(f"{address}edit/").content.decode()
    told = client_for(president).get(address).content.decode()  # who publishes is told as well
    assert "are not in this version" in told
