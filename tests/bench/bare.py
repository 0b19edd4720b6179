"""Bare Django: one indexed query, 50 rows x 10 columns in a template; a JsonResponse of `.values()`; one UPDATE."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.template import Context, Template
from django.urls import path

from crm_site.accounts.models import Bank
from crm_site.lib.tenancy import bank
from customers.models import Customer, Standing

PAGE = Template(
    "<!doctype html><table>{% for r in rows %}<tr>{% for v in r %}<td>{{ v }}</td>{% endfor %}</tr>{% endfor %}</table>"
)
COLUMNS = (
    "customer_id", "kind", "deposits_adb", "deposits_balance", "loans", "aum", "overdue_amount", "value_tier",
    "wealth_level", "churn_bp",
)  # fmt: skip
FIELDS = (
    "number", "kind", "is_prospect", "name", "name_sort", "status", "birth_date", "founded_date", "gender", "industry",
    "size", "employees", "customer_since", "is_related_party", "is_excluded", "source", "source_as_of", "occupation",
    "employer", "family_note", "preference_note", "needs_note", "contact_language", "home_branch_id", "responsible_id",
)  # fmt: skip


def rows(request: Any, code: str) -> HttpResponse:
    with bank(Bank.objects.values_list("id", flat=True).get(code=code)):
        found = list(Standing.objects.order_by("-deposits_adb", "-customer_id").values_list(*COLUMNS)[:50])
    return HttpResponse(PAGE.render(Context({"rows": found})))


def values(request: Any, code: str) -> HttpResponse:
    with bank(Bank.objects.values_list("id", flat=True).get(code=code)):
        found = list(Customer.objects.order_by("id").values(*FIELDS)[:100])
    return JsonResponse({"results": found})


RESERVE = """
UPDATE credit_rating_creditline SET reserved = reserved + 1, changed_at = now()
WHERE bank_id = %s AND id = %s AND status = 'active' AND limit_amount - reserved - utilised >= 1
RETURNING limit_amount - reserved - utilised
"""


def reserve(request: Any, bank_id: int, line: int) -> HttpResponse:
    with bank(bank_id), connection.cursor() as cursor:
        cursor.execute(RESERVE, [bank_id, line])
        (room,) = cursor.fetchone()
    return JsonResponse({"available": room})


def healthz(request: Any) -> HttpResponse:
    return HttpResponse("alive")


urlpatterns = [
    path("healthz", healthz),
    path("<str:code>/rows", rows),
    path("<str:code>/values", values),
    path("lines/<int:bank_id>/<int:line>", reserve),
]
