"""Tasks about one customer, or about those selected in the list."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from crm_site.lib.errors import DomainError
from customers import services
from customers.forms import TaskForm
from customers.selectors.lists import CustomerQuery
from customers.views.actions import done, form_answer
from customers.views.guard import as_of, get_customer, page
from customers.views.listing import list_url, read_query


@page("task.write")
@require_http_methods(["GET", "POST"])
def task_add(request: Any, customer_id: int) -> HttpResponse:
    """A task about one customer."""
    customer = get_customer(request, customer_id)
    form = TaskForm(request.POST or None)
    if request.method == "POST" and _create(request, form, [customer.pk]):
        return done(request, reverse("customers:customer", args=[customer.pk]))
    context = {
        "customer": customer,
        "form": form,
        "action": reverse("customers:task-add", args=[customer.pk]),
    }
    return form_answer(request, "task_form", context, status=422 if form.errors else 200)


@page("task.write")
@require_POST
def task_bulk(request: Any) -> HttpResponse:
    """The same task for each of the selected customers: first the form, then the tasks."""
    chosen = [
        int(value) for value in request.POST.getlist("selected") if value.isdecimal() and len(value) < 19
    ]
    query, _problem = read_query(request.actor, request.POST)
    form = TaskForm(request.POST) if "title" in request.POST else TaskForm()
    if form.is_bound and _create(request, form, chosen):
        return redirect(list_url(CustomerQuery(query.condition, query.sort)))
    context = {
        "form": form, "selected": chosen, "c": request.POST.get("c", ""), "sort": query.sort,
        "action": reverse("customers:task-bulk"), "list_url": list_url(query), "day": as_of(request),
    }  # fmt: skip
    return form_answer(request, "task_form", context, status=422 if form.errors else 200)


def _create(request: Any, form: TaskForm, customers: list[int]) -> bool:
    if not form.is_valid():
        return False
    now = timezone.now()
    try:
        count = services.create_customer_tasks(
            request.actor, customers=customers, now=now, today=timezone.localdate(now), **form.cleaned_data
        )
    except DomainError as error:
        form.refuse(error)
        return False
    messages.success(request, ngettext("%(n)s task created.", "%(n)s tasks created.", count) % {"n": count})
    return True
