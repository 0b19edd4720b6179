"""Task actions in place, the list of tasks, the task form and the inbox."""

from __future__ import annotations

from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.core import signing
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import reswap, retarget, trigger_client_event

from crm_site.accounts.selectors import working_day
from crm_site.lib import formats
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import View, allowed, signed_in
from crm_site.work import selectors, services
from crm_site.work.forms import HandOverForm, LaterForm, ResultForm, TaskForm
from crm_site.work.models import Task
from crm_site.work.moving import Move, hand_over_row, postpone_row, take_back
from crm_site.work.pages import inbox_page, task_page

MOVED = "work.moved"


def _task(request: Any, pk: int) -> Task:
    """The task, for who may work on it; 404 for everybody else."""
    mine = Task.objects.workable_by(request.actor).select_related("owner", "unit", "closed_by")
    return get_object_or_404(mine, pk=pk)


def _back(request: Any) -> str:
    """The page of this site that the person came from, else the list of tasks."""
    came = request.POST.get("next") or request.GET.get("next") or request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(came, allowed_hosts={request.get_host()})
    return came if safe and urlsplit(came).path != request.path else reverse("work:task-list")


def _in_place(view: View) -> View:
    """In a row, a task that is the person's no longer is said so, and the row goes; as a page it is not there (404)."""

    @wraps(view)
    def answer(request: Any, pk: int) -> HttpResponse:
        try:
            return view(request, pk)
        except (Http404, Task.DoesNotExist):
            if not request.htmx:
                raise
            gone = _told(HttpResponse(), _("This task is no longer yours."))
            return reswap(retarget(gone, f"#work-{pk}"), "outerHTML")

    return answer


def _told(answer: HttpResponse, text: str, undo: str = "") -> HttpResponse:
    """A toast says what happened, and what counts tasks on the page asks anew ("worked")."""
    trigger_client_event(answer, "toast", {"text": text, **({"undo": undo} if undo else {})})
    return trigger_client_event(answer, "worked", {})


def _gone(request: Any, text: str, undo: str = "", then: dict[str, Any] | None = None) -> HttpResponse:
    """The row leaves the list, or gives way to `then`, its customer's next reason; a toast says what happened.

    Without a script: back to where one came from.
    """
    if request.htmx:
        is_row = then is not None and "line" not in request.GET
        answer = render(request, "work/_task_row.html", {"item": then}) if is_row else HttpResponse()
        return _told(answer, text, undo)
    messages.success(request, text)
    return HttpResponseRedirect(_back(request))


def _refused(request: Any, error: DomainError, task: Task) -> HttpResponse:
    """The row stays as it is now, and the person is told why nothing happened."""
    if request.htmx:
        return _told(_row(request, _task(request, task.pk)), error.message)
    messages.error(request, error.message)
    return HttpResponseRedirect(_back(request))


def _row(request: Any, task: Task) -> HttpResponse:
    """The task's row of a worklist; nothing where it is closed, or where a page lists tasks in lines of its own."""
    if task.status != "open" or "line" in request.GET:
        return HttpResponse()
    as_of = working_day(request.bank)
    rows = selectors.worklist_rows(request.actor, [task], as_of, later=task.show_from > as_of)
    return render(request, "work/_task_row.html", {"item": rows[0]})


def _next_reason(request: Any, task: Task) -> dict[str, Any] | None:
    """The row of what else is to be done for the customer of a task that is done; None when nothing is."""
    as_of = working_day(request.bank)
    left = [t for t in selectors.row_of(request.actor, task, as_of) if t.pk != task.pk and t.status == "open"]
    if not left:
        return None
    return selectors.worklist_rows(request.actor, left[:1], as_of, later=left[0].show_from > as_of)[0]


def _done_words(then: dict[str, Any] | None) -> str:
    """That a task is done, and what its row shows now: the customer's next reason, and how many are left with it."""
    if then is None:
        return _("Done")
    left = 1 + len(then["also"])
    words = ngettext(
        "Done. One more reason for this customer: %(reason)s",
        "Done. %(left)s more reasons for this customer, next: %(reason)s",
        left,
    )
    return words % {"left": left, "reason": then["reason"]}


def _form_page(request: Any, task: Task, form: Any, **about: Any) -> HttpResponse:
    """The action's form: opened within the row, or a page where there is no script."""
    context = {
        "form": form,
        "task": task,
        "item": selectors.task_rows(request.actor, [task], working_day(request.bank))[0],
        "also": [],
        "next": _back(request),
        **about,
    }
    status = 422 if form.is_bound else 200
    if not request.htmx or request.htmx.boosted:
        return render(request, "work/task_action.html", context, status=status)
    answer = render(request, "work/_task_action.html", context, status=status)
    return reswap(retarget(answer, f"#work-{task.pk}-act"), "innerHTML")


def _form_data(request: Any, pk: int) -> dict[str, Any]:
    """What every form of a task's row takes: what was sent, and ids of its own on the page."""
    return {"data": request.POST if request.method == "POST" else None, "auto_id": f"work-{pk}-%s"}


def _undo(move: Move, pk: int) -> str:
    """The address that takes a move back; "" when nothing was moved. Signed: it says where the tasks stood."""
    token = signing.dumps(move.packed(), salt=MOVED)
    return f"{reverse('work:task-undo', args=[pk])}?moved={token}" if move.before else ""


def _also(request: Any, task: Task) -> list[dict[str, Any]]:
    """The other reasons of the task's row, which go along with it."""
    as_of = working_day(request.bank)
    others = [t for t in selectors.row_of(request.actor, task, as_of) if t.pk != task.pk]
    return selectors.task_rows(request.actor, others, as_of)


@require_GET
@allowed("task.write")
def task_list(request: Any) -> HttpResponse:
    context = task_page(request.actor, working_day(request.bank), request.GET)
    partial = request.htmx and not request.htmx.boosted
    return render(request, "work/_task_table.html" if partial else "work/task_list.html", context)


@require_GET
@allowed("task.write")
def task_detail(request: Any, pk: int) -> HttpResponse:
    task = _task(request, pk)
    item = selectors.task_rows(request.actor, [task], working_day(request.bank))[0]
    return render(request, "work/task_detail.html", {"task": task, "item": item})


@require_http_methods(["GET", "POST"])
@allowed("task.write")
@_in_place
def task_done(request: Any, pk: int) -> HttpResponse:
    task = _task(request, pk)
    item = selectors.task_row(task, None, working_day(request.bank))
    form = ResultForm(needed=item["needs_result"], **_form_data(request, pk))
    if request.method == "GET" or not form.is_valid():
        return _form_page(request, task, form, title=_("Done"), verb=_("Done"), icon="check")
    try:
        with transaction.atomic():
            services.finish_task(
                request.actor, task_id=pk, now=timezone.now(), result=form.cleaned_data["result"]
            )
    except DomainError as error:
        return _refused(request, error, task)
    then = _next_reason(request, task)
    return _gone(request, _done_words(then), undo=reverse("work:task-undo", args=[pk]), then=then)


@require_POST
@allowed("task.write")
def task_undo(request: Any, pk: int) -> HttpResponse:
    """Takes back "done", or the move of a row that the address carries."""
    try:
        with transaction.atomic():
            _take_back(request, pk)
    except DomainError as error:
        if request.htmx:
            return _told(HttpResponse(), error.message)
        messages.error(request, error.message)
        return HttpResponseRedirect(_back(request))
    if request.htmx:
        return _told(HttpResponse(), _("Taken back"))
    return HttpResponseRedirect(_back(request))


def _take_back(request: Any, pk: int) -> None:
    now = timezone.now()
    if "moved" not in request.GET:
        services.reopen_task(request.actor, task_id=_task(request, pk).pk, now=now)
        return
    try:
        move = Move.unpacked(signing.loads(request.GET["moved"], salt=MOVED))
    except signing.BadSignature as error:
        raise Http404 from error
    take_back(request.actor, move, now=now)


@require_http_methods(["GET", "POST"])
@allowed("task.write")
@_in_place
def task_later(request: Any, pk: int) -> HttpResponse:
    task, as_of = _task(request, pk), working_day(request.bank)
    form = LaterForm(as_of=as_of, **_form_data(request, pk))
    try:
        if form.is_valid():
            until = form.cleaned_data["until"]
            with transaction.atomic():
                move = postpone_row(request.actor, task_id=pk, until=until, as_of=as_of, now=timezone.now())
            text = _("Postponed until %(day)s") % {"day": formats.day_with_weekday(until, as_of)}
            return _gone(request, text, undo=_undo(move, pk))
    except DomainError as error:
        if "until" not in error.fields:
            return _refused(request, error, task)
        form.add_error("until", error.message)
    words = {"title": _("Later"), "verb": _("Postpone"), "icon": "clock"}
    return _form_page(request, task, form, also=_also(request, task), choices=form.choices, **words)


@require_http_methods(["GET", "POST"])
@allowed("task.write")
@_in_place
def task_hand_over(request: Any, pk: int) -> HttpResponse:
    task, as_of = _task(request, pk), working_day(request.bank)
    form = HandOverForm(actor=request.actor, task=task, as_of=as_of, **_form_data(request, pk))
    try:
        if form.is_valid():
            to_id, note, now = form.cleaned_data["to"], form.cleaned_data["note"], timezone.now()
            with transaction.atomic():
                move = hand_over_row(request.actor, task_id=pk, to_id=to_id, note=note, as_of=as_of, now=now)
            text = _("Handed over to %(name)s") % {"name": form.names[to_id]}
            return _gone(request, text, undo=_undo(move, pk))
    except DomainError as error:
        if "to" not in error.fields:
            return _refused(request, error, task)
        form.add_error("to", error.message)
    words = {"title": _("Hand over"), "verb": _("Hand over"), "icon": "arrow-forward-up"}
    return _form_page(request, task, form, also=_also(request, task), **words)


@require_http_methods(["GET", "POST"])
@allowed("task.write")
def task_add(request: Any) -> HttpResponse:
    as_of = working_day(request.bank)
    initial = {"customer": request.GET.get("customer", "")}
    form = TaskForm(
        request.POST if request.method == "POST" else None, actor=request.actor, as_of=as_of, initial=initial
    )
    if form.is_valid():
        given = form.cleaned_data
        services.create_task(
            request.actor,
            reason="manual",
            params={"text": given["text"]},
            customer_id=given["customer"],
            owner_id=given["owner"] or request.actor.staff_id,
            due_date=given["due_date"],
            show_from=as_of,
            now=timezone.now(),
        )
        messages.success(request, _("Task created"))
        return HttpResponseRedirect(_back(request))
    about = {"form": form, "next": _back(request), "subject": _subject(request, form)}
    return render(request, "work/task_form.html", about, status=422 if form.is_bound else 200)


def _subject(request: Any, form: TaskForm) -> Any:
    """The customer that the task is to be about, when the person may see it."""
    number = str(form["customer"].value() or "")
    found = selectors.subjects_of(
        request.actor, [int(number)] if number.isdigit() and len(number) < 19 else []
    )
    return next(iter(found.values()), None)


@require_GET
@signed_in
def inbox(request: Any) -> HttpResponse:
    context = inbox_page(request.actor, request.GET)
    partial = request.htmx and not request.htmx.boosted
    return render(request, "work/_inbox.html" if partial else "work/inbox.html", context)


@require_POST
@signed_in
def inbox_read(request: Any) -> HttpResponse:
    services.mark_read(request.actor, now=timezone.now())
    return redirect("work:inbox")


@require_POST
@signed_in
def notice_open(request: Any, pk: int) -> HttpResponse:
    """Read, and on to what it is about."""
    notice = selectors.notifications(request.actor).filter(pk=pk).first()
    if notice is None:
        raise Http404
    services.mark_read(request.actor, notification_id=pk, now=timezone.now())
    return HttpResponseRedirect(notice.url or reverse("work:inbox"))
