"""Task actions, the list, the form and the inbox in the browser's words."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from crm_site.accounts.models import Bank
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from crm_site.work import services
from crm_site.work.models import Notification, Task
from tests.conftest import TODAY, House, Person, hire

SignIn = Callable[[Person], Client]
HTMX = {"HX-Request": "true"}
TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def working_day(house: House) -> None:
    """The bank works on TODAY, whatever the calendar says."""
    Bank.objects.filter(pk=house.id).update(business_date=TODAY - dt.timedelta(days=1))


@pytest.fixture
def task(house: House, rm: Person) -> Task:
    actor = rm.actor
    with bank(house.id):
        return services.create_task(
            actor,
            reason="manual",
            params={"text": "Call about the deposit"},
            due_date=TODAY,
            owner_id=rm.staff.pk,
            now=timezone.now(),
        )


def reload(task: Task) -> Task:
    with bank(task.bank_id):
        return Task.objects.get(pk=task.pk)


def test_the_list_shows_my_tasks_with_their_reason(task: Task, rm: Person, client_for: SignIn) -> None:
    page = client_for(rm).get("/tasks/").content.decode()
    assert "Call about the deposit" in page
    assert f'id="work-{task.pk}"' in page
    filtered = client_for(rm).get("/tasks/?reason=promise", headers=HTMX).content.decode()
    assert "Call about the deposit" not in filtered
    assert filtered.lstrip().startswith('<div id="task-table"')


def test_done_in_place_and_undone(task: Task, rm: Person, client_for: SignIn) -> None:
    client = client_for(rm)
    answer = client.post(f"/tasks/{task.pk}/done/", headers=HTMX)
    assert (answer.status_code, answer.content) == (200, b"")
    undo = json.loads(answer["HX-Trigger"])["toast"]["undo"]
    assert reload(task).status == "done"
    assert "Taken back" in client.post(undo, headers=HTMX)["HX-Trigger"]
    assert reload(task).status == "open"


def test_done_without_a_script_goes_back_to_where_one_came_from(
    task: Task, rm: Person, client_for: SignIn
) -> None:
    client = client_for(rm)
    assert client.post(f"/tasks/{task.pk}/done/", {"next": "/relationship/"}).url == "/relationship/"
    client.post(f"/tasks/{task.pk}/undo/")
    assert client.post(f"/tasks/{task.pk}/done/", {"next": "https://evil.example/"}).url == "/tasks/"


def test_the_second_one_is_told_and_sees_the_row_go(
    task: Task, rm: Person, branch_manager: Person, client_for: SignIn
) -> None:
    client_for(rm).post(f"/tasks/{task.pk}/done/", headers=HTMX)
    answer = client_for(branch_manager).post(f"/tasks/{task.pk}/done/", headers=HTMX)
    assert "Rm has done this already." in answer["HX-Trigger"]


def test_later(task: Task, rm: Person, client_for: SignIn) -> None:
    client = client_for(rm)
    assert client.get(f"/tasks/{task.pk}/later/").status_code == 200
    wrong = client.post(f"/tasks/{task.pk}/later/", {"until": TODAY.isoformat()})
    assert wrong.status_code == 422
    assert "Choose a day ahead." in wrong.content.decode()
    client.post(f"/tasks/{task.pk}/later/", {"until": TOMORROW.isoformat()})
    assert reload(task).show_from == TOMORROW
    assert "Call about" not in client.get("/tasks/").content.decode()
    assert "Call about" in client.get("/tasks/?when=later").content.decode()


def test_later_in_the_row_and_taken_back(task: Task, rm: Person, client_for: SignIn) -> None:
    client, url = client_for(rm), f"/tasks/{task.pk}/later/"
    choices = client.get(url, headers=HTMX)
    assert choices["HX-Retarget"] == f"#work-{task.pk}-act"
    assert "<html" not in choices.content.decode()
    assert f'name="until" value="{TOMORROW.isoformat()}"' in choices.content.decode()
    wrong = client.post(url, {"until": TODAY.isoformat()}, headers=HTMX)
    assert (wrong.status_code, wrong["HX-Retarget"]) == (422, f"#work-{task.pk}-act")
    assert "Choose a day ahead." in wrong.content.decode()
    answer = client.post(url, {"until": TOMORROW.isoformat()}, headers=HTMX)
    assert answer.content == b""
    said = json.loads(answer["HX-Trigger"])
    assert "worked" in said  # the counts of the page ask anew
    assert said["toast"]["text"].startswith("Postponed until")
    again = client.post(url, {"until": TOMORROW.isoformat()}, headers=HTMX)
    assert "undo" not in json.loads(again["HX-Trigger"])["toast"]  # the second click moved nothing
    for _twice in range(2):
        assert "Taken back" in client.post(said["toast"]["undo"], headers=HTMX)["HX-Trigger"]
        assert reload(task).show_from == TODAY
    assert client.post(f"/tasks/{task.pk}/undo/?moved=forged", headers=HTMX).status_code == 404


def test_hand_over_in_the_row_and_taken_back_until_it_is_read(
    house: House, task: Task, rm: Person, client_for: SignIn
) -> None:
    colleague = hire(house, "colleague", Role.RELATIONSHIP_MANAGER, house.north)
    client, url = client_for(rm), f"/tasks/{task.pk}/hand-over/"
    nobody = client.post(url, {"to": ""}, headers=HTMX)
    assert (nobody.status_code, "field-error" in nobody.content.decode()) == (422, True)
    answer = client.post(url, {"to": colleague.staff.pk}, headers=HTMX)
    said = json.loads(answer["HX-Trigger"])["toast"]
    assert said["text"] == "Handed over to Colleague"
    client.post(said["undo"], headers=HTMX)
    assert (reload(task).owner_id, reload(task).handed_over_by_id) == (rm.staff.pk, None)
    with bank(house.id):
        assert not Notification.objects.exists()
    second = client.post(url, {"to": colleague.staff.pk}, headers=HTMX)
    client_for(colleague).post("/notifications/read/")
    late = client.post(json.loads(second["HX-Trigger"])["toast"]["undo"], headers=HTMX)
    assert "has read it already" in late["HX-Trigger"]
    assert reload(task).owner_id == colleague.staff.pk


def test_a_row_that_is_somebody_elses_by_now_goes_and_says_so(
    house: House, task: Task, rm: Person, branch_manager: Person, client_for: SignIn
) -> None:
    colleague = hire(house, "colleague", Role.RELATIONSHIP_MANAGER, house.north)
    with bank(house.id):
        Task.objects.update(created_by=None)
    client_for(branch_manager).post(f"/tasks/{task.pk}/hand-over/", {"to": colleague.staff.pk})
    for action in ("done", "later", "hand-over"):
        answer = client_for(rm).post(f"/tasks/{task.pk}/{action}/", headers=HTMX)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer["HX-Retarget"] == f"#work-{task.pk}"
        assert "This task is no longer yours." in answer["HX-Trigger"]


def test_an_empty_inbox_offers_no_page_that_is_closed_to_its_reader(
    house: House, rm: Person, administrator: Person, client_for: SignIn
) -> None:
    assert 'class="btn" href="/tasks/"' in client_for(rm).get("/notifications/").content.decode()
    assert 'href="/tasks/"' not in client_for(administrator).get("/notifications/").content.decode()


def test_hand_over_and_the_colleagues_inbox(house: House, task: Task, rm: Person, client_for: SignIn) -> None:
    colleague = hire(house, "colleague", Role.RELATIONSHIP_MANAGER, house.north)
    client = client_for(rm)
    assert "Colleague" in client.get(f"/tasks/{task.pk}/hand-over/").content.decode()
    client.post(f"/tasks/{task.pk}/hand-over/", {"to": colleague.staff.pk, "note": "on leave"})
    theirs = client_for(colleague)
    page = theirs.get("/notifications/").content.decode()
    assert "handed you a task" in page
    assert "on leave" in page
    assert 'count-badge">1<' in page
    with bank(house.id):
        notice = Notification.objects.get()
    assert client.post(f"/notifications/{notice.pk}/").status_code == 404  # somebody else's
    assert theirs.post(f"/notifications/{notice.pk}/").url == f"/tasks/{task.pk}/"
    assert theirs.get(f"/tasks/{task.pk}/").status_code == 200
    assert "0 unread" in theirs.get("/notifications/").content.decode()


def test_everything_read(house: House, rm: Person, client_for: SignIn) -> None:
    with bank(house.id):
        services.notify([rm.staff.pk], "task.given", {"by": "x", "reason": "manual"})
    client = client_for(rm)
    assert client.post("/notifications/read/", follow=True).context["unread"] == 0


def test_a_new_task(house: House, rm: Person, client_for: SignIn) -> None:
    client = client_for(rm)
    assert client.get("/tasks/new/").status_code == 200
    given = {"text": "Send the papers", "due_date": TOMORROW.isoformat(), "owner": "", "customer": ""}
    for field, value in (
        ("text", ""),
        ("due_date", "2020-01-01"),
        ("owner", "999999"),
        ("customer", "999999"),
    ):
        assert client.post("/tasks/new/", given | {field: value}).status_code == 422
    client.post("/tasks/new/", given)
    with bank(house.id):
        made = Task.objects.get()
    assert (made.owner_id, made.due_date, made.params["text"]) == (rm.staff.pk, TOMORROW, "Send the papers")


def test_strangers(
    task: Task, rm_other_branch: Person, outsider: Person, administrator: Person, client_for: SignIn
) -> None:
    for address in ("", "done/", "later/", "hand-over/"):
        assert client_for(rm_other_branch).get(f"/tasks/{task.pk}/{address}").status_code == 404
        assert client_for(outsider).get(f"/tasks/{task.pk}/{address}").status_code == 404
        assert client_for(administrator).get(f"/tasks/{task.pk}/{address}").status_code == 403
    assert client_for(rm_other_branch).post(f"/tasks/{task.pk}/undo/").status_code == 404
    assert client_for(rm_other_branch).post(f"/tasks/{task.pk}/done/", {"result": "x"}).status_code == 404


def test_pages_go_by_key(
    house: House, rm: Person, client_for: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_site.work.pages.PAGE", 2)
    rows = [
        services.TaskRow("manual", f"m:{n}", TODAY, owner_id=rm.staff.pk, urgency=50, stake=Decimal(n // 2))
        for n in range(5)
    ]
    with bank(house.id):
        services.put_tasks(house.id, rows, sources=["m:"], as_of=TODAY)
    client, seen, url = client_for(rm), [], "/tasks/"
    while url:
        page = client.get(url).context
        seen += [item["id"] for item in page["items"]]
        url = "/tasks/" + page["next_url"] if page["next_url"] else ""
    assert len(seen) == len(set(seen)) == 5


def test_the_list_costs_the_same_whatever_its_length(
    house: House, rm: Person, client_for: SignIn, django_assert_max_num_queries
) -> None:
    rows = [
        services.TaskRow("manual", f"m:{n}", TODAY, owner_id=rm.staff.pk, customer_id=n) for n in range(40)
    ]
    with bank(house.id):
        services.put_tasks(house.id, rows, sources=["m:"], as_of=TODAY)
    client = client_for(rm)
    with django_assert_max_num_queries(24):  # six of them the list's own
        client.get("/tasks/")


def put_two_reasons(house: House, rm: Person) -> tuple[Task, Task]:
    """A customer with two reasons, the grave one made last, beside another customer."""
    rows = [
        services.TaskRow("manual", "m:1", TODAY, 7, rm.staff.pk, params={"text": "Say happy birthday"}, urgency=10),
        services.TaskRow("manual", "m:2", TODAY, 7, rm.staff.pk, params={"text": "Loan overdue"}, urgency=100),
        services.TaskRow("manual", "m:3", TODAY, 8, rm.staff.pk, params={"text": "Other customer"}, urgency=50),
    ]  # fmt: skip
    with bank(house.id):
        services.put_tasks(house.id, rows, sources=["m:"], as_of=TODAY)
        trivial, grave = (Task.objects.get(source_key=key) for key in ("m:1", "m:2"))
    return trivial, grave


def test_a_customer_stands_once_with_its_reasons_by_urgency(
    house: House, rm: Person, client_for: SignIn
) -> None:
    trivial, grave = put_two_reasons(house, rm)
    client = client_for(rm)
    answer = client.get("/tasks/")
    assert answer.context["items"][0]["id"] == grave.pk
    assert len(answer.context["items"]) == answer.context["counts"].open == 2
    assert [other["id"] for other in answer.context["items"][0]["also"]] == [trivial.pk]
    page = answer.content.decode()
    assert page.index("Loan overdue") < page.index("Say happy birthday") < page.index("Other customer")


def test_done_closes_the_first_reason_and_shows_the_next(
    house: House, rm: Person, client_for: SignIn
) -> None:
    trivial, grave = put_two_reasons(house, rm)
    done = client_for(rm).post(f"/tasks/{grave.pk}/done/", headers=HTMX)
    answer, said = done.content.decode(), json.loads(done["HX-Trigger"])["toast"]["text"]
    assert f'id="work-{trivial.pk}"' in answer
    assert "Loan overdue" not in answer
    assert said.startswith("Done. One more reason for this customer: ")
    assert (reload(grave).status, reload(trivial).status) == ("done", "open")
    assert client_for(rm).post(f"/tasks/{trivial.pk}/done/", headers=HTMX).content == b""


def test_later_and_hand_over_take_every_reason_of_the_row(
    house: House, rm: Person, client_for: SignIn
) -> None:
    trivial, grave = put_two_reasons(house, rm)
    client = client_for(rm)
    assert "Say happy birthday" in client.get(f"/tasks/{grave.pk}/later/").content.decode()
    client.post(f"/tasks/{grave.pk}/later/", {"until": TOMORROW.isoformat()})
    assert reload(grave).show_from == reload(trivial).show_from == TOMORROW
    with bank(house.id):
        Task.objects.filter(source_key="m:3").update(reason="promise")
    later, now = client.get("/tasks/?when=later").context, client.get("/tasks/").context
    assert [item["id"] for item in later["items"]] == [grave.pk]
    # The filter's chips count what the tab shows.
    assert (later["counts"].by_reason, now["counts"].by_reason) == ({"manual": 1}, {"promise": 1})
    assert (
        (later["counts"].open, later["counts"].later) == (now["counts"].open, now["counts"].later) == (1, 1)
    )
    colleague = hire(house, "colleague", Role.RELATIONSHIP_MANAGER, house.north)
    client.post(f"/tasks/{grave.pk}/hand-over/", {"to": colleague.staff.pk})
    assert reload(grave).owner_id == reload(trivial).owner_id == colleague.staff.pk
    with bank(house.id):
        assert Notification.objects.filter(staff=colleague.staff.pk).count() == 1


def test_reasons_of_one_cause_are_said_once_with_both_labels(
    house: House, rm: Person, client_for: SignIn
) -> None:
    def warning(code: str) -> dict[str, object]:
        return {"code": code, "name": "", "level": "risk"}

    used = {"line": "ED-2026-000001", "share": "0.95", "amount": "95.00", "currency": "CNY"}
    rows = [
        services.TaskRow("warning", "w:1", TODAY, 7, rm.staff.pk, params=warning("line_use"), urgency=85),
        services.TaskRow("warning", "w:2", TODAY, 7, rm.staff.pk, params=warning("class_worse"), urgency=84),
        services.TaskRow("line_use", "w:3", TODAY, 7, rm.staff.pk, params=used, urgency=40),
        services.TaskRow("warning", "w:4", TODAY, 8, rm.staff.pk, params=warning("line_use"), urgency=80),
    ]  # fmt: skip
    with bank(house.id):
        services.put_tasks(house.id, rows, sources=["w:"], as_of=TODAY)
    answer = client_for(rm).get("/tasks/", headers={"Accept-Language": "en"})
    first, second = answer.context["items"]
    assert (first["reason"], first["beside"]) == ("Line nearly used up", ["Early warning"])
    with bank(house.id):
        lead = Task.objects.get(source_key="w:1")  # what is ticked off is the warning
    assert (first["id"], first["level"]) == (lead.pk, "risk")
    assert "ED-2026-000001" in first["why"]
    assert [(o["reason"], o["why"]) for o in first["also"]] == [
        ("Early warning", "Five-level class got worse"),
    ]  # fmt: skip
    assert (second["why"], second["also"]) == ("Credit lines nearly used up", [])
    page = answer.content.decode()
    assert page.count("ED-2026-000001") == 2  # the text and its title
    assert "Early warning: " not in page.replace('title="Early warning: ', "")
