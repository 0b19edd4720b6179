"""Pages and the API's list against bare Django on the same kind of server, in turn."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from secrets import token_hex
from urllib.parse import quote, urlencode

from django.test import Client

from crm_site.accounts.models import Bank, RoleGrant, Staff
from crm_site.lib.permissions import Role
from crm_site.lib.tenancy import bank
from customers.models import Customer, Standing
from tests.bench.load import Target, alternate, p50, p95, per_second
from tests.bench.rows import Row, row
from tests.rig import Rig

REQUESTS = 150
CREDIT = ("case_inbox", "case", "line_list", "line_list_deep", "rating_list", "rating_list_deep", "rating")
NAMES = ("list", "list_deep", "search", "view", "dashboard", *CREDIT, "api_list")


def person(found: Bank, role: Role) -> Staff:
    """Somebody of the bank with the role."""
    with bank(found.pk):
        grant = RoleGrant.objects.filter(role=role).select_related("staff").order_by("id").first()
        assert grant is not None
        return grant.staff


def signed_in(found: Bank, staff: Staff) -> Client:
    client = Client(HTTP_HOST=found.host, HTTP_ACCEPT_LANGUAGE="zh-hans")
    with bank(found.pk):
        client.force_login(staff, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def headers(found: Bank, client: Client) -> dict[str, str]:
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    return {"Host": found.host, "Cookie": cookies, "Accept-Language": "zh-hans"}


def middle_cursor(found: Bank) -> str:
    """The cursor of the page in the middle of the bank's list, as the list itself writes them."""
    from customers.selectors import lists

    with bank(found.pk):
        half = Standing.objects.filter(customer__is_prospect=False).count() // 2
        order = Standing.objects.filter(customer__is_prospect=False).order_by("-deposits_adb", "-customer_id")
        standing = order[half]
        return lists._cursor(lists.CustomerQuery({}), standing, "n")


def two_characters(found: Bank) -> str:
    """The first two characters of some customer's Chinese name."""
    with bank(found.pk):
        names = Customer.objects.filter(kind="personal").order_by("-id").values_list("name", flat=True)[:50]
        return next(name[:2] for name in names if re.match(r"[\u4e00-\u9fff]{2}", name))


def credit_pages(found: Bank, port: int, risk: Mapping[str, str]) -> dict[str, Target]:
    """What a reviewer opens: his inbox and a case of it, ratings; and risk, who sees every line."""
    from credit_rating.models import CreditCase, CreditLine, Rating

    reviewer = headers(found, signed_in(found, person(found, Role.CREDIT_REVIEWER)))
    with bank(found.pk):
        # A bank that is kept for weeks of nights has no case left that waits: all have run out.
        waits = CreditCase.objects.filter(status="headquarters").order_by("deadline", "id")
        case = waits.first() or CreditCase.objects.order_by("-id")[0]
        rating = Rating.objects.filter(status="submitted").order_by("-id").first() or Rating.objects.latest(
            "id"
        )
        in_force = Rating.objects.filter(status="approved").order_by("-id")
        lines = CreditLine.objects.exclude(status="closed").order_by("expires_on", "id")
        rated, line = in_force[in_force.count() // 2], lines[lines.count() // 2]
    deep_lines = urlencode({"after": f"{line.expires_on}:{line.pk}"})
    return {
        "case_inbox": Target(port, "/credit/", reviewer),
        "case": Target(port, f"/credit/cases/{case.pk}/", reviewer),
        "line_list": Target(port, "/credit/lines/", risk),
        "line_list_deep": Target(port, f"/credit/lines/?{deep_lines}", risk),
        "rating_list": Target(port, "/credit/ratings/?list=all", reviewer),
        "rating_list_deep": Target(port, f"/credit/ratings/?list=all&after={rated.pk}", reviewer),
        "rating": Target(port, f"/credit/ratings/{rating.pk}/", reviewer),
    }


def run(rig: Rig, code: str, customers: int, wanted: set[str]) -> Iterator[Row]:
    found = Bank.objects.get(code=code)
    risk = headers(found, signed_in(found, person(found, Role.RISK)))
    manager = person(found, Role.BRANCH_MANAGER)
    branch = headers(found, signed_in(found, manager))
    with bank(found.pk):
        seen = Standing.objects.order_by("-deposits_adb").values_list("customer_id", flat=True)[100]
    with rig.web() as port, rig.web("bare", {"DJANGO_SETTINGS_MODULE": "tests.bench.site"}) as bare_port:
        bare = Target(bare_port, f"/{code}/rows", {})
        pages = {
            "list": Target(port, "/customers/", risk),
            "list_deep": Target(port, f"/customers/?{urlencode({'cursor': middle_cursor(found)})}", risk),
            "search": Target(port, f"/search/?q={quote(two_characters(found))}", risk),
            "view": Target(port, f"/customers/{seen}/", risk),
            "dashboard": Target(port, "/relationship/branch/", branch),
        }
        if wanted & set(CREDIT):
            pages |= credit_pages(found, port, risk)
        first: list[float] = []
        for name, page in pages.items():
            if name not in wanted:
                continue
            if name == "list_deep":
                first, ours = alternate([pages["list"], page], REQUESTS)
                limit, aim = p95(first), 1.2
            else:
                ours, bare_times = alternate([page, bare], REQUESTS)
                limit, aim = p95(bare_times), 3.0
            note = f"p50 {p50(ours):.1f} ms, {per_second(page):.0f} requests/s with 8 clients"
            yield row(name, customers, p95(ours), limit, unit="ms p95", aim=aim, note=note)
        if "api_list" in wanted:
            api = Target(
                port,
                "/api/v1/customers?limit=100",
                {"Host": found.host} | token(rig, found, port, "customers:read"),
            )
            ours, plain = alternate([api, Target(bare_port, f"/{code}/values", {})], REQUESTS)
            note = f"p50 {p50(ours):.1f} ms"
            yield row("api_list", customers, p95(ours), p95(plain), unit="ms p95", aim=2.0, note=note)


def token(rig: Rig, found: Bank, port: int, scopes: str) -> dict[str, str]:
    """A bearer token as core banking gets it."""
    made = rig.json(
        "create_api_client",
        "--bank",
        found.code,
        "--name",
        f"bench {token_hex(4)}",
        "--scopes",
        scopes,
    )
    pair = base64.b64encode(f"{made['client_id']}:{made['client_secret']}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = urlencode({"grant_type": "client_credentials", "scope": scopes})
    kind = "application/x-www-form-urlencoded"
    connection.request(
        "POST", "/identity/o/api/token", body,
        {"Host": found.host, "Authorization": f"Basic {pair}", "Content-Type": kind},
    )  # fmt: skip
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return {"Authorization": f"Bearer {answer['access_token']}"}
