"""What somebody sees who opens an address that only takes a form: after a reload, a new tab, a change of language."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve


class FormAddressMiddleware:
    """A page that leads on instead of an empty 405."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if answer.status_code != 405 or request.method != "GET" or answer.content:
            return answer
        page = render(request, "405.html", {"nearest": nearest_page(request.path)}, status=405)
        page.headers["Allow"] = answer.headers["Allow"]
        return page


def nearest_page(path: str) -> str:
    """The next address above this one that leads somewhere: /customers/imports/7/try/ -> /customers/imports/7/."""
    parts = path.strip("/").split("/")[:-1]
    while parts:
        above = f"/{'/'.join(parts)}/"
        try:
            resolve(above)
        except Resolver404:
            parts.pop()
        else:
            return above
    return "/"
