"""One data folder, many commands: who starts servers, who attaches, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from crm_site.launcher.provision import url_for

Start = Callable[..., "subprocess.Popen[str]"]

# Says the named variables, then waits for a line: the servers are up as long as the test wants them.
HOLD = "echo $DATABASE_URL $DATABASE_OWNER_URL $REDIS_URL; read line"
TELL = "echo $DATABASE_URL $DATABASE_OWNER_URL $REDIS_URL"


def line(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout
    return child.stdout.readline().split()


def release(child: subprocess.Popen[str]) -> None:
    child.communicate("\n", timeout=60)
    assert child.returncode == 0


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def processes_of(data: Path) -> list[int]:
    """Live processes that work in the data folder (PostgreSQL changes into its cluster)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                here = (entry / "cwd").resolve().is_relative_to(data)
                dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if here and not dead:
                found.append(int(entry.name))
    return found


def test_a_command_starts_servers_and_stops_them(launcher: Start, data: Path) -> None:
    child = launcher("exec", "--", "sh", "-c", HOLD)
    application, owner, broker = line(child)
    assert answers(application)
    assert answers(owner)
    assert broker.startswith("redis://")
    release(child)
    assert not answers(application)
    assert processes_of(data) == []


def test_a_second_command_uses_the_servers_of_the_first_which_waits_for_it(launcher: Start) -> None:
    first = launcher("exec", "--", "sh", "-c", HOLD)
    application = line(first)[0]
    second = launcher("exec", "--", "sh", "-c", HOLD)
    assert line(second)[0] == application
    assert first.stdin
    first.stdin.write("\n")
    first.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.5)
    assert answers(application)
    release(second)
    assert first.wait(60) == 0
    assert not answers(application)


def test_run_refuses_a_folder_in_use_with_one_line(launcher: Start) -> None:
    first = launcher("exec", "--", "sh", "-c", HOLD)
    line(first)
    second = launcher("run", environment={"PORT": "0"})
    _, complaint = second.communicate(timeout=60)
    assert second.returncode == 1
    assert complaint.count("\n") == 1
    assert f"process {first.pid}" in complaint
    release(first)


def test_a_killed_launcher_leaves_no_process_and_the_next_one_finds_the_data(
    launcher: Start, data: Path
) -> None:
    first = launcher("exec", "--", "sh", "-c", HOLD)
    _, owner, _ = line(first)
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.kill()
    first.wait()
    assert (data / "run.json").exists()  # stale, and harmless
    second = launcher("exec", "--", "sh", "-c", HOLD)
    _, owner, _ = line(second)
    with psycopg.connect(owner) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        connection.execute("DROP TABLE kept")
    second.kill()
    second.wait()
    deadline = time.monotonic() + 20
    while processes_of(data):
        assert time.monotonic() < deadline, "left behind"
        time.sleep(0.05)


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(launcher: Start, data: Path) -> None:
    release(launcher("exec", "--", "sh", "-c", HOLD))
    (data / "postgres" / "postmaster.pid").write_text(
        f"{os.getpid()}\n{data}/postgres\n1\n5432\n\n\n\nready\n"
    )
    child = launcher("exec", "--", "sh", "-c", HOLD)
    assert answers(line(child)[0])
    release(child)


def test_secrets_are_private_and_stay(launcher: Start, data: Path) -> None:
    release(launcher("exec", "--", "sh", "-c", HOLD))
    kept = (data / "secrets").read_text()
    assert stat.S_IMODE((data / "secrets").stat().st_mode) == 0o600
    assert len(set(json.loads(kept).values())) == 6
    release(launcher("exec", "--", "sh", "-c", HOLD))
    assert (data / "secrets").read_text() == kept


def test_named_database_with_our_own_broker(launcher: Start, data: Path) -> None:
    named = "postgresql://a@db.example/b"
    child = launcher("exec", "--", "sh", "-c", HOLD, environment={"DATABASE_URL": named})
    database, broker = line(child)
    assert database == named
    assert broker.startswith("redis://:")
    assert processes_of(data / "postgres") == []
    release(child)


def test_a_failed_command_still_waits_for_who_uses_its_servers(launcher: Start) -> None:
    first = launcher("exec", "--", "sh", "-c", HOLD + "; exit 3")
    application = line(first)[0]
    second = launcher("exec", "--", "sh", "-c", HOLD)
    line(second)
    assert first.stdin
    first.stdin.write("\n")
    first.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(0.5)
    assert answers(application)
    release(second)
    assert first.wait(60) == 3


def test_run_on_a_named_database_asks_for_the_owner(launcher: Start) -> None:
    child = launcher("run", environment={"DATABASE_URL": "postgresql://a@db.example/b", "PORT": "0"})
    _, complaint = child.communicate(timeout=60)
    assert child.returncode == 1
    assert complaint.count("\n") == 1
    assert "DATABASE_OWNER_URL" in complaint


def environment_of(shared: tuple[Path, Start]) -> dict[str, str]:
    about: dict[str, dict[str, str]] = json.loads((shared[0] / "run.json").read_text())
    return about["environment"]


def test_the_application_role_owns_nothing_and_cannot_bypass_row_security(shared: tuple[Path, Start]) -> None:
    urls = environment_of(shared)
    roles = "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        assert connection.execute(roles).fetchone() == ("banyan_app", False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (id int)")
    with psycopg.connect(urls["DATABASE_OWNER_URL"]) as connection:
        assert connection.execute(roles).fetchone() == ("banyan_owner", False, False, True)
        locale = "SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'banyan'"
        assert connection.execute(locale).fetchone() == ("C", "UTF8")


def test_nobody_gets_in_without_a_password(shared: tuple[Path, Start]) -> None:
    application = environment_of(shared)["DATABASE_URL"]
    assert answers(application)
    for role in ("banyan_app", "banyan_owner", "banyan_admin"):
        assert not answers(url_for(application, role, "guess", "banyan"))


def test_a_command_on_a_named_database_never_gets_the_owner_of_the_embedded_one(
    shared: tuple[Path, Start],
) -> None:
    named = {"DATABASE_URL": "postgresql://a@db.example/b"}
    child = shared[1]("exec", "--", "sh", "-c", "echo $DATABASE_URL [$DATABASE_OWNER_URL]", environment=named)
    assert line(child) == [named["DATABASE_URL"], "[]"]


def test_named_servers_are_used_as_they_are(shared: tuple[Path, Start]) -> None:
    named = {
        "DATABASE_URL": "postgresql://a@db.example/b",
        "DATABASE_OWNER_URL": "postgresql://o@db.example/b",
        "REDIS_URL": "redis://redis.example/0",
    }
    child = shared[1]("exec", "--", "sh", "-c", TELL, environment=named)
    assert line(child) == list(named.values())


def test_provision_makes_roles_and_database_on_a_server_of_yours(shared: tuple[Path, Start]) -> None:
    folder, start = shared
    keys = json.loads((folder / "secrets").read_text())
    urls = environment_of(shared)
    admin = url_for(urls["DATABASE_URL"], "banyan_admin", keys["admin_password"], "postgres")
    # With the passwords that the named addresses hold, nothing that is in use changes.
    provisioned = start("provision", "--admin-url", admin, "--database", "second", environment=urls)
    _, complaint = provisioned.communicate(timeout=60)
    assert provisioned.returncode == 0, complaint
    with psycopg.connect(url_for(admin, "banyan_owner", keys["owner_password"], "second")) as connection:
        connection.execute("CREATE EXTENSION btree_gist")
        connection.execute("CREATE TABLE mine (id int)")

    refused = start("provision", "--admin-url", url_for(admin, "banyan_admin", "guess", "postgres"))
    _, complaint = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert complaint.count("\n") == 1

    renewed = start("provision", "--admin-url", admin, "--database", "second")
    printed, complaint = renewed.communicate(timeout=60)
    assert renewed.returncode == 0, complaint
    fresh = dict(row.split("=", 1) for row in printed.splitlines())
    assert answers(fresh["DATABASE_URL"])
    assert answers(fresh["DATABASE_OWNER_URL"])
    assert not answers(urls["DATABASE_URL"])
