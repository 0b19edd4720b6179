"""The two roles and the database, on any PostgreSQL: see docs/operations.md, Roles."""

from __future__ import annotations

import os
from dataclasses import dataclass
from secrets import token_urlsafe
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from crm_site.launcher.errors import LauncherError

OWNER = "banyan_owner"
APPLICATION = "banyan_app"
DATABASE = "banyan"


@dataclass(frozen=True)
class Passwords:
    owner: str
    application: str


def provision(admin_url: str, passwords: Passwords, *, database: str = DATABASE) -> None:
    """Create what is missing and set both passwords. Safe to repeat.

    The owner of the tables may create databases (tests) but is no superuser; the application role owns
    nothing and is told its rights by the migrations. Refuses roles that could bypass row security.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        _role(connection, OWNER, passwords.owner, "CREATEDB")
        _role(connection, APPLICATION, passwords.application, "")
        _database(connection, database)


def _role(connection: psycopg.Connection, name: str, password: str, rights: str) -> None:
    row = connection.execute(
        "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", [name]
    ).fetchone()
    if row and row[0]:
        raise LauncherError(
            f"Role {name} exists and can bypass row security: it must be NOSUPERUSER NOBYPASSRLS."
        )
    verb = "ALTER" if row else "CREATE"
    scrambled = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    statement = sql.SQL("{verb} ROLE {name} LOGIN {rights} PASSWORD {password}").format(
        verb=sql.SQL(verb), name=sql.Identifier(name), rights=sql.SQL(rights), password=sql.Literal(scrambled)
    )
    connection.execute(statement)


def _database(connection: psycopg.Connection, name: str) -> None:
    database, owner, application = sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(APPLICATION)
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        me = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        if me != (True,):  # only a member may give a database to its owner
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(owner))
        locale = "LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
        if connection.info.server_version >= 170000:
            locale += " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        statement = f"CREATE DATABASE {{}} OWNER {{}} TEMPLATE template0 ENCODING 'UTF8' {locale}"
        connection.execute(sql.SQL(statement).format(database, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    connection.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(database, application))


def url_for(admin_url: str, role: str, password: str, database: str) -> str:
    """`admin_url` with another role and database; host, port and options stay."""
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]
    netloc = f"{role}:{quote(password, safe='')}@{place}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))


def main(admin_url: str, database: str) -> None:
    """Provision with the passwords of DATABASE_URL and DATABASE_OWNER_URL where those are set.

    Else with new ones, and print the two addresses as lines of an environment file.
    """
    named = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "DATABASE_OWNER_URL")}
    application, owner = (
        unquote(urlsplit(url).password or "") or token_urlsafe(32) for url in named.values()
    )
    try:
        provision(admin_url, Passwords(owner, application), database=database)
    except psycopg.Error as error:
        raise LauncherError(f"PostgreSQL refused: {str(error).strip().splitlines()[0]}") from None
    made = {
        "DATABASE_URL": url_for(admin_url, APPLICATION, application, database),
        "DATABASE_OWNER_URL": url_for(admin_url, OWNER, owner, database),
    }
    for name, url in made.items():
        if not named[name]:
            print(f"{name}={url}")
