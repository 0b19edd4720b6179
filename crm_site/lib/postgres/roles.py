"""The program refuses to work as a database role that row security does not bind.

Asked once a process, on the first connection as the application role; `check_role` asks at start.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

_ASK = """
select r.rolsuper, r.rolbypassrls, exists (
    select from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and (c.relowner = r.oid or pg_has_role(current_user, c.relowner, 'MEMBER')))
from pg_roles r where r.rolname = current_user
"""
_asked: set[tuple[str, str, str]] = set()


class UnsafeRole(ImproperlyConfigured):
    """The role could read every bank's rows. One line: which role, why, what to do."""


def refuse_unsafe_role(connection: Any) -> None:
    """Raise UnsafeRole when the connected application role could bypass row security."""
    its = connection.settings_dict
    key = (str(its["HOST"]), str(its["PORT"]), str(its["USER"]))
    if key in _asked or settings.AS_OWNER or its["USER"] != settings.APPLICATION_ROLE:
        return
    with connection.cursor() as cursor:
        cursor.execute(_ASK)
        is_super, bypasses, owns = cursor.fetchone()
    why = (
        "is a superuser" if is_super else "may bypass row security" if bypasses
        else "owns tables or is a member of their owner" if owns else ""
    )  # fmt: skip
    if why:
        connection.close()
        raise UnsafeRole(
            f"Refused: database role {its['USER']!r} {why}; DATABASE_URL must name the application role "
            "(docs/operations.md, Roles)."
        )
    _asked.add(key)


def check_role() -> None:
    """Ask now; a database that cannot be reached yet is asked when it can (readyz says so meanwhile)."""
    from django.db import connection

    try:
        connection.ensure_connection()
    except OperationalError:
        return
    connection.close()
