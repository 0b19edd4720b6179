"""Gunicorn's settings, for `make run` and for containers.

The program is loaded once and forked, so the master must hold no connection when it forks.
"""

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
preload_app = True
control_socket_disable = True
timeout = 120  # an upload of 2 GB is streamed by one thread; the worker's heartbeat goes on meanwhile
graceful_timeout = 15
keepalive = 5
limit_request_line = 8190  # the most there may be: a list's conditions stand in its address
max_requests = 20_000
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
accesslog = None  # the program writes its own request log
# Each worker counts into files here; /metrics adds them up. Begun anew with every start, before the program loads.
METRICS = Path(os.environ.get("BANYAN_DATA") or tempfile.gettempdir()) / "metrics"
shutil.rmtree(METRICS, ignore_errors=True)
METRICS.mkdir(parents=True, exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS)


gc.disable()  # until all is loaded: what is made by then stays


def child_exit(server: Any, worker: Any) -> None:
    """A worker is gone: what it was doing just then no longer counts."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def when_ready(server: Any) -> None:
    """Loaded, and about to fork: what is loaded stays, so the workers' garbage collector need not walk over it."""
    from django.db import connections

    connections.close_all()
    gc.collect()
    gc.freeze()
    gc.enable()
