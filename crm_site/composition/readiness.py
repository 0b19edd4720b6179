"""Whether this process can serve: database, migrations; broker as a degradation."""

from __future__ import annotations

from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from crm_site.lib.postgres.pending import pending_migrations

_state = {"migrated": False}  # migrations are looked for until none is pending, then never again


def readiness() -> dict[str, Any]:
    """{ready, database, migrations, broker}: each "ok" or what is wrong. Never raises, never hangs."""
    state: dict[str, Any] = {"ready": False, "database": "ok", "migrations": "ok", "broker": "ok"}
    try:
        if not _state["migrated"]:
            pending = pending_migrations()
            if pending:
                state["migrations"] = f"{pending} pending"
            _state["migrated"] = not pending
        else:
            with connection.cursor() as cursor:
                cursor.execute("select 1")
        state["ready"] = _state["migrated"]
    except DatabaseError as error:
        state["database"] = type(error).__name__
    state["broker"] = _broker()
    return state


def _broker() -> str:
    if not settings.REDIS_URL:
        return "degraded: not configured"
    try:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
        client.ping()
    except redis.RedisError as error:
        return f"degraded: {type(error).__name__}"
    return "ok"
