"""What each role sees of queue, loads and history, and that deciding works from the page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from crm_site.accounts.models import Bank, GradeCapacity
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from crm_site.work.services import TaskRow, create_task, put_tasks
from customers.models import Interaction
from relationship.models import Assignment, AssignmentProposal, ManagerLoad
from relationship.selectors.counter import _next
from relationship.selectors.loads import Fill, loads
from relationship.services import propose_for_branch
from tests.conftest import TODAY, House, Person, hire
from tests.relationship.factories import customer

SignIn = Callable[[Person], Client]
QUEUE = "/relationship/queue/"


def test_a_branch_manager_decides_from_the_page(
    house: House, rm: Person, branch_manager: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        for name in ("Ling", "Shen"):
            customer(house.north, tier=3, wealth=5, name=name)
        propose_for_branch(branch_manager.actor, unit=house.north, working_day=TODAY)
        first = AssignmentProposal.objects.open().order_by("pk").values_list("pk", flat=True)[0]
    client = client_for(branch_manager)
    page = client.get(QUEUE)
    assert page.status_code == 200
    text = page.content.decode()
    assert "Ling" in text
    assert "Premier platinum asks for Level 2" in text
    form = {"unit": house.north.pk, "selected": [first], "comment": ""}
    refused = client.post(reverse("relationship:queue-reject"), form, follow=True)
    assert "Say why." in refused.content.decode()
    answer = client.post(reverse("relationship:queue-approve"), form, follow=True)
    assert "1 assignment approved." in answer.content.decode()
    again = client.post(reverse("relationship:queue-approve"), form, follow=True)
    assert "1 was decided already." in again.content.decode()
    answer = client.post(
        reverse("relationship:queue-approve"), {"unit": house.north.pk, "everything": "1"}, follow=True
    )
    assert "Every customer of this branch has an owner." in answer.content.decode()
    with bank(house.id):
        assert Assignment.objects.count() == 2


def test_another_branch_and_another_bank_are_not_there(
    house: House, branch_manager: Person, outsider: Person, rm: Person, hq_risk: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        one = customer(house.south, tier=3)
        from relationship.proposing import make_proposals

        make_proposals(house.id, TODAY, [house.south])
        pk = AssignmentProposal.objects.open().get().pk
    manager = client_for(branch_manager)
    assert manager.get(f"{QUEUE}?unit={house.south.pk}").status_code == 404
    assert manager.get(f"/relationship/?unit={house.south.pk}").status_code == 404
    assert manager.get(reverse("relationship:customer-panel", args=[one.pk])).status_code == 404
    form = {"unit": house.north.pk, "selected": [pk]}
    assert manager.post(reverse("relationship:queue-approve"), form).status_code == 404
    form["unit"] = house.south.pk
    assert manager.post(reverse("relationship:queue-approve"), form).status_code == 404
    assert manager.post(reverse("relationship:queue-change", args=[pk]), form).status_code == 404
    assert client_for(outsider).get(f"{QUEUE}?unit={house.south.pk}").status_code == 404
    assert client_for(rm).get(QUEUE).status_code == 404
    headquarters = client_for(hq_risk)
    assert headquarters.get(f"{QUEUE}?unit={house.south.pk}").status_code == 200
    assert headquarters.post(reverse("relationship:queue-approve"), form).status_code == 403


def test_loads_and_history(
    house: House, rm: Person, branch_manager: Person, auditor: Person, client_for: SignIn
) -> None:
    with bank(house.id):
        one = customer(house.north, tier=3)
        propose_for_branch(branch_manager.actor, unit=house.north, working_day=TODAY)
    client = client_for(branch_manager)
    panel = reverse("relationship:customer-panel", args=[one.pk])
    assert "Waits in the queue of North; proposed: Rm." in client.get(panel).content.decode()
    client.post(reverse("relationship:queue-approve"), {"unit": house.north.pk, "everything": "1"})
    assert "approved by Branch Manager" in client.get(panel).content.decode()
    for person in (branch_manager, rm, auditor):
        page = client_for(person).get("/relationship/")
        assert page.status_code == 200
        assert "Rm" in page.content.decode()


def test_a_proposal_can_go_to_a_colleague_whose_load_is_shown(
    house: House, rm: Person, branch_manager: Person, client_for: SignIn
) -> None:
    person = hire(house, "second", Role.RELATIONSHIP_MANAGER, house.north)
    with bank(house.id):
        customer(house.north, tier=3)
        propose_for_branch(branch_manager.actor, unit=house.north, working_day=TODAY)
    answer = client_for(branch_manager).get(QUEUE)
    assert answer.status_code == 200
    assert person.staff.name in answer.content.decode()


def test_a_load_says_what_it_is_of(
    house: House, rm: Person, branch_manager: Person, client_for: SignIn
) -> None:
    def load_of_rm() -> Fill:
        fill = next(one for one in loads([rm.staff], TODAY)).fill
        assert fill
        return fill

    with bank(house.id):
        GradeCapacity.objects.filter(grade=rm.staff.grade).update(
            max_customers=4, max_value=Decimal(1_000_000)
        )
        ManagerLoad.objects.create(
            manager=rm.staff,
            value_tier=3,
            customers=3,
            deposits_adb=Decimal(400_000),
            loans=Decimal(200_000),
            overdue_customers=0,
            overdue_amount=Decimal(0),
            contacted=1,
        )
        assert (load_of_rm().share, load_of_rm().is_bound_by_value) == (0.75, False)
        GradeCapacity.objects.filter(grade=rm.staff.grade).update(max_value=Decimal(500_000))
        assert (load_of_rm().share, load_of_rm().is_bound_by_value) == (1.2, True)
    html = client_for(branch_manager).get("/relationship/").content.decode()
    assert "120%" in html
    assert "by value" in html
    assert "The fuller of the two is the load." in html


def test_the_figure_of_overdue_tasks_opens_those_tasks(
    house: House, rm: Person, teller: Person, branch_manager: Person, client_for: SignIn
) -> None:
    Bank.objects.filter(pk=house.id).update(business_date=TODAY - dt.timedelta(days=1))
    with bank(house.id):
        one = customer(house.north, rm.staff, tier=3, name="Ling")
        about = {
            "reason": "manual",
            "customer_id": one.pk,
            "owner_id": rm.staff.pk,
            "unit_id": house.north.pk,
        }
        rows = [
            TaskRow(
                **about,
                params={"text": "Bring the contract"},
                due_date=TODAY - dt.timedelta(days=3),
                source_key="late:1",
            ),
            TaskRow(**about, params={"text": "Call again"}, due_date=TODAY, source_key="late:2"),
        ]
        put_tasks(house.id, rows, sources=["late:"], as_of=TODAY)
    page = client_for(branch_manager).get(f"/relationship/?unit={house.north.pk}").content.decode()
    assert 'href="#late">1</a>' in page
    assert "Bring the contract" in page
    assert "Call again" not in page
    assert "Bring the contract" not in client_for(teller).get("/relationship/").content.decode()


def test_a_tellers_home_is_the_counter(house: House, teller: Person, rm: Person, client_for: SignIn) -> None:
    Bank.objects.filter(pk=house.id).update(business_date=TODAY)
    with bank(house.id):
        near = customer(house.north, teller.staff, name="Near", birth_date=TODAY.replace(year=1980))
        customer(house.north, teller.staff, name="Far", birth_date=dt.date(1980, 3, 1))
        customer(house.north, name="Nobody's", birth_date=TODAY.replace(year=1980))
        rows = [
            TaskRow("maturity", "maturity:1", TODAY, near.pk, teller.staff.pk, urgency=85,
                    params={"date": TODAY.isoformat(), "tail": "1", "amount": "1", "currency": "CNY"}),
            TaskRow("missing", "missing:2", TODAY, near.pk + 1, teller.staff.pk, params={"items": ["phone"]}),
        ]  # fmt: skip
        put_tasks(house.id, rows, sources=["maturity:", "missing:"], as_of=TODAY)
        heard = {"customer": near, "channel": "counter", "result": "complaint", "note": "The queue is long"}
        for author, at in ((teller, 3), (teller, 40), (rm, 3)):
            Interaction.objects.create(
                **heard, author=author.staff, at=timezone.now() - dt.timedelta(days=at)
            )
        create_task(
            teller.actor, reason="manual", due_date=TODAY, show_from=TODAY, now=timezone.now(), params={"text": "Call"},
            customer_id=near.pk, owner_id=rm.staff.pk, unit_id=house.north.pk,
        )  # fmt: skip
    client = client_for(teller)
    answer = client.get("/")
    counter = answer.context["counter"]
    assert [one.note for one in counter.complaints] == ["The queue is long"]
    assert [(item["name"], item["owner"]) for item in counter.handed_up] == [("Near", rm.staff.name)]
    assert (counter.customers, counter.due_count) == (2, 1)
    assert [one.name for one in counter.birthdays] == ["Near"]
    assert "Nobody&#x27;s</a>" not in answer.content.decode()
    for url, n in [(counter.birthday_url, counter.birthday_count), *((g.url, g.count) for g in counter.gaps)]:
        assert client.get(url).context["totals"].count == n


def test_the_next_birthday_of_a_leap_day() -> None:
    born = dt.date(2000, 2, 29)
    assert _next(born, dt.date(2026, 2, 27)) == dt.date(2026, 2, 28)
    assert _next(born, dt.date(2027, 3, 1)) == dt.date(2028, 2, 29)
