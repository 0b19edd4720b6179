"""Behind PgBouncer in transaction mode, with one server connection for everybody, no read sees another bank."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from crm_site.launcher.postgres import free_port
from crm_site.launcher.processes import main_group, server_user
from tests.prove.conftest import Promise
from tests.prove.databases import ROOT, address, bank_id, database, environment, manage

READS = int(os.environ.get("READS", "20000"))
READERS = 4  # processes through bank(), each with its own connection to the pooler
OVER_HTTP = READS // 10  # of the reads, through the web server
CODES = ("north", "south")
pytestmark = pytest.mark.prove


def pgbouncer() -> str | None:
    """The program, which `make prove` installs where it may."""
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


@contextmanager
def pooler(program: str, folder: Path, name: str) -> Iterator[str]:
    """PgBouncer in front of database `name`: transaction mode, default_pool_size 1. Yields its DATABASE_URL."""
    server, port = urlsplit(address("DATABASE_URL", name)), free_port()
    password = unquote(server.password or "")
    (folder / "users").write_text(f'"{server.username}" "{password}"\n')
    (folder / "ini").write_text(
        f"[databases]\n{name} = host={server.hostname} port={server.port} dbname={name}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {folder}/users\n"
        "pool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 100\n"
    )
    user = server_user()
    if user:
        folder.chmod(0o711)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-q", str(folder / "ini")], stdout=log, stderr=log, user=user, group=main_group(user),
            extra_groups=[] if user else None,
        )  # fmt: skip
    url = server._replace(netloc=server.netloc.rpartition("@")[0] + f"@127.0.0.1:{port}").geturl()
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(url, prepare_threshold=None).close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


READER = """
import sys, django
django.setup()
from django.db import connection
from crm_site.lib.tenancy import bank
from customers.models import Customer
reads, own = int(sys.argv[1]), [int(word) for word in sys.argv[2:]]
wrong = 0
for turn in range(reads):
    mine = own[turn % len(own)]
    with bank(mine):
        if turn % 2:
            found = {row for row in Customer.objects.order_by("-id").values_list("bank_id", flat=True)[:20]}
        else:
            with connection.cursor() as cursor:  # row security alone, without the ORM's own filter
                cursor.execute("select distinct bank_id from customers_customer")
                found = {row for (row,) in cursor.fetchall()}
        wrong += found != {mine}
print(wrong)
"""


def over_http(port: int, reads: int) -> int:
    """Pages of both banks in turn, on one kept connection; how many showed something else than their own bank."""
    wrong = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for turn in range(reads):
        code = CODES[turn % 2]
        connection.request(
            "GET", "/accounts/login/", headers={"Host": f"{code}.localhost", "Accept-Language": "en"}
        )
        answer = connection.getresponse()
        text = answer.read().decode()
        other = CODES[1 - turn % 2]
        wrong += answer.status != 200 or f"Bank {code}" not in text or f"Bank {other}" in text
    connection.close()
    return wrong


def test_pooler(promise: Promise) -> None:
    program = pgbouncer()
    if program is None:
        pytest.skip("no pgbouncer here: install the package pgbouncer")
    with database("prove_pooler") as name:
        manage(name, "migrate", "--noinput", "--verbosity", "0")
        for code in CODES:
            manage(name, "create_bank", code, "--name", f"Bank {code}")
            _customers(name, bank_id(name, code))
        with tempfile.TemporaryDirectory() as folder, pooler(program, Path(folder), name) as url:
            variables = environment(name) | {
                "DATABASE_URL": url, "BANYAN_POOLER": "1", "DJANGO_SETTINGS_MODULE": "crm_site.settings",
            }  # fmt: skip
            wrong, reads = _read(variables, [str(bank_id(name, code)) for code in CODES])
    promise("behind a pooler with one connection: reads of another bank", f"{wrong} of {reads:,}", f"0 of {READS:,}",
            kept=wrong == 0 and reads >= READS)  # fmt: skip


def _customers(name: str, bank: int) -> None:
    with psycopg.connect(address("DATABASE_URL", name)) as connection:
        connection.execute("SELECT set_config('app.bank_id', %s, true)", [str(bank)])
        connection.execute(
            """INSERT INTO customers_customer (bank_id, number, kind, is_prospect, name, name_sort, status, gender,
                   industry, size, is_related_party, is_excluded, source, occupation, employer, family_note,
                   preference_note, needs_note, contact_language)
               SELECT %s, n, 'personal', false, 'C' || n, 'c' || n, 'active', '', '', '', false, false, '', '', '', '',
                   '', '', '' FROM generate_series(1, 50) n""",
            [bank],
        )


def _read(variables: dict[str, str], banks: list[str]) -> tuple[int, int]:
    """All readers at once, half of them beginning with the one bank and half with the other."""
    each = (READS - OVER_HTTP) // READERS
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(each), *(banks if number % 2 else reversed(banks))], cwd=ROOT,
            env=variables, stdout=subprocess.PIPE, text=True,
        )
        for number in range(READERS)
    ]  # fmt: skip
    port = free_port()
    web = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "python:crm_site.gunicorn", "crm_site.wsgi"], cwd=ROOT,
        env=variables | {"PORT": str(port), "LOG_LEVEL": "ERROR"},
    )  # fmt: skip
    try:
        for _try in range(300):
            try:
                wrong = over_http(port, 2)
                break
            except OSError:
                time.sleep(0.2)
        wrong += over_http(port, OVER_HTTP - 2)
        wrong += sum(int(reader.communicate()[0]) for reader in readers)
    finally:
        web.terminate()
        web.wait(30)
    assert all(reader.returncode == 0 for reader in readers), json.dumps(
        [reader.returncode for reader in readers]
    )
    return wrong, each * READERS + OVER_HTTP
