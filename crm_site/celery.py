"""Celery only wakes workers: PostgreSQL holds the truth (crm_site.jobs)."""

from __future__ import annotations

import os
import sys
from typing import Any

# Before NumPy is imported anywhere: two threads of BLAS beside other work cost twenty times the time.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_site.settings")

from celery import Celery, signals  # noqa: E402 - after the environment is set

app = Celery("banyan", broker=os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0"), backend=None)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=200,
    broker_connection_timeout=2,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_publish_retry=False,
    broker_transport_options={
        "socket_connect_timeout": 1,
        "socket_timeout": 2,
        "max_retries": 0,
        "visibility_timeout": 3600,
    },
    worker_cancel_long_running_tasks_on_connection_loss=False,
    timezone="UTC",
    beat_schedule={
        "tick": {"task": "jobs.tick", "schedule": 2.0, "options": {"expires": 10}},
        "forget": {"task": "jobs.forget", "schedule": 3600.0, "options": {"expires": 600}},
        "seal": {"task": "audit.seal_all", "schedule": 5.0, "options": {"expires": 5}},
        "expire_reservations": {
            "task": "credit.expire_reservations",
            "schedule": 60.0,
            "options": {"expires": 30},
        },
        "forget_samples": {
            "task": "credit.forget_samples",
            "schedule": 3600.0,
            "options": {"expires": 600},
        },
    },
)
app.autodiscover_tasks(["crm_site.jobs", "crm_site.audit", "credit_rating"])


@signals.setup_logging.connect
def keep_logging(**kwargs: Any) -> None:
    """Workers and beat log as the web does (settings.LOGGING): Celery's own format would drop an event's fields."""
    import logging.config

    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@signals.worker_init.connect
@signals.beat_init.connect
def refuse_unsafe_role(**kwargs: Any) -> None:
    """A worker or a beat that could bypass row security does not start."""
    from crm_site.lib.postgres.roles import UnsafeRole, check_role

    try:
        check_role()
    except UnsafeRole as refusal:
        print(refusal, file=sys.stderr, flush=True)
        os._exit(1)  # Celery's bootsteps would turn SystemExit into a warm shutdown
