"""A real server with a real bank in a database of its own, and a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.e2e.seed import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str | None:
    """The browser: CHROMIUM in the environment, else one on the path."""
    named = os.environ.get("CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests say so, and say why they are skipped."""
    missing = (
        None if chromium() else pytest.mark.skip(reason="no Chromium found: `make browser` installs one")
    )
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(missing)


@dataclass(frozen=True)
class Site:
    """The running server: its port and who can sign in (role -> login)."""

    port: int
    logins: dict[str, str]

    def url(self, path: str, code: str = "demo") -> str:
        return f"http://{code}.localhost:{self.port}{path}"


def _database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Database, migrations, bank, nights, gunicorn: made once, gone afterwards."""
    owner, application = os.environ["DATABASE_OWNER_URL"], os.environ["DATABASE_URL"]
    name = f"banyan_e2e_{os.getpid()}"
    folder = tmp_path_factory.mktemp("site")
    with psycopg.connect(owner, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    environment = os.environ | {
        "DATABASE_URL": _database(application, name),
        "DATABASE_OWNER_URL": _database(owner, name),
        "BANYAN_DATA": str(folder),
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "crm_site.settings",
        "LOG_LEVEL": "WARNING",
    }
    server = None
    try:
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        seeded = subprocess.run(
            [sys.executable, "-m", "tests.e2e.seed"],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        port = _free_port()
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "crm_site.wsgi", "--no-control-socket", "--threads", "4"),
                *("--worker-class", "gthread", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"),
            ],
            cwd=ROOT,
            env=environment | {"PORT": str(port)},
        )
        _wait(port, server)
        yield Site(port, json.loads(seeded.stdout.splitlines()[-1]))
    finally:
        if server is not None:
            server.terminate()
            server.wait(20)
        with psycopg.connect(owner, autocommit=True) as conn:
            conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with suppress(OSError):  # refused, reset or slow: not up yet
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
            return
        time.sleep(0.1)
    raise RuntimeError("the server did not become ready")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Gone with the last of its tests: while it runs, Django takes the thread for an asynchronous one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


class Reader:
    """Somebody at a browser. Collects what went wrong on any page: violations, script errors, failed requests."""

    def __init__(self, browser: Any, site: Site, *, language: str, phone: bool, theme: str) -> None:
        self.site = site
        self.context = browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1440, "height": 900},
            locale="zh-CN" if language == "zh" else "en-GB",
            color_scheme=theme,
            has_touch=phone,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.faults: list[str] = []
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "response", lambda r: self.faults.append(f"{r.status} {r.url}") if r.status >= 400 else None
        )

    def sign_in(self, role: str, code: str = "demo", to: str = "/") -> None:
        """Sign in on the way to a page, the person's home unless another is named."""
        self.page.goto(self.site.url(f"/accounts/login/?next={to}", code))
        self.page.fill("[name=login]", self.site.logins[role])
        self.page.fill("[name=password]", PASSWORD)
        self.page.press("[name=password]", "Enter")
        self.page.wait_for_url(self.site.url(to, code))
        self.settle()

    def open(self, path: str, code: str = "demo") -> None:
        answer = self.page.goto(self.site.url(path, code))
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        self.settle()

    def follow(self, link: Any) -> None:
        """Press a link and wait for the page behind it."""
        with self.page.expect_navigation():
            link.click()
        self.settle()

    def settle(self) -> None:
        """Until every panel has loaded itself and no answer is awaited; waiting for silence takes half a second more."""
        self.page.wait_for_load_state("load")
        self.page.locator(".htmx-request, [data-panel][hx-trigger=load]").first.wait_for(state="detached")

    def text(self) -> str:
        return str(self.page.inner_text("body"))

    def check_page(self) -> None:
        """No sideways overflow, no error in the console, nothing that axe finds at WCAG 2.2 AA."""
        from axe_playwright_python.sync_playwright import Axe

        assert self.faults == []
        width = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1] + 1, f"{self.page.url} is {width[0]} wide on {width[1]}"
        found = Axe().run(
            self.page,
            # No preloading: it would fetch and inject style sheets, which the content policy reports.
            options={"preload": False, "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
        )
        problems = [
            f"{v['id']}: {[n['target'] for n in v['nodes'][:4]]}" for v in found.response["violations"]
        ]
        assert problems == [], f"{self.page.url}: {problems}"


@pytest.fixture
def reader(browser: Any, site: Site) -> Iterator[Callable[..., Reader]]:
    """reader(language="en", phone=False, theme="light") opens a browser window."""
    opened: list[Reader] = []

    def open_window(*, language: str = "en", phone: bool = False, theme: str = "light") -> Reader:
        opened.append(Reader(browser, site, language=language, phone=phone, theme=theme))
        return opened[-1]

    yield open_window
    for one in opened:
        one.context.close()
