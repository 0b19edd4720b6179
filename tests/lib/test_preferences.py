"""Language and theme: kept, refused, and never a way to another host."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from crm_site.lib.preferences import set_preferences


def post(**data: str) -> HttpResponse:
    return set_preferences(RequestFactory().post("/preferences/", data))


def test_a_choice_is_kept_and_leads_back() -> None:
    response = post(language="zh-hans", next="/customers/?q=1")
    assert (response.status_code, response["Location"]) == (302, "/customers/?q=1")
    assert response.cookies["language"].value == "zh-hans"
    assert response.cookies["language"]["httponly"]


def test_the_theme_is_kept() -> None:
    assert post(theme="dark").cookies["theme"].value == "dark"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_it_never_leads_to_another_host(target: str) -> None:
    assert post(theme="light", next=target)["Location"] == "/"


@pytest.mark.parametrize("data", [{}, {"theme": "pink"}, {"language": "xx"}])
def test_what_is_not_offered_is_refused(data: dict[str, str]) -> None:
    response = post(**data)
    assert response.status_code == 400
    assert not response.cookies


def test_only_by_post() -> None:
    assert set_preferences(RequestFactory().get("/preferences/")).status_code == 405
