"""What each role sees of queue, loads and history, and that deciding works from the page."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from crm_site.lib.tenancy import bank
from relationship.models import Assignment, AssignmentProposal
from relationship.services import propose_for_branch
from tests.conftest import TODAY, House, Person
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
        from relationship.placement import make_proposals

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
