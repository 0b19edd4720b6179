"""Who works a run off in the foreground: this process, or some worker processes that are replaced when killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.utils.translation import gettext as _

from crm_site.jobs.executor import work_once
from crm_site.jobs.models import UNFINISHED, Run, RunStatus
from crm_site.launcher.processes import die_with_parent
from crm_site.lib.errors import DomainError
from crm_site.lib.registry import PIPELINES
from crm_site.lib.tenancy import bank

IDLE_SECONDS = 0.1  # between two looks for due work
WATCH_SECONDS = 0.25


class Crew:
    """The workers of one run for the length of a `with` block."""

    def __init__(
        self,
        run: Run,
        *,
        workers: int = 1,
        command: Sequence[str] = (),
        watch: Callable[[int, int], None] | None = None,
    ) -> None:
        self.wanted, self.watch = workers, watch
        self.command = [
            *(command or (sys.executable, str(settings.BASE_DIR / "manage.py"), "work_off")),
            str(run.bank_id),
            str(run.pk),
        ]
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()

    def carry_on(self, run: Run) -> None:
        """One turn: a chunk here, or a look after the worker processes."""
        if self.wanted <= 1:
            if not work_once(run_ids=run_and_those_before(run), watch=self.watch):
                time.sleep(IDLE_SECONDS)
            return
        self.processes = [process for process in self.processes if self._lives(process)]
        while len(self.processes) < self.wanted:
            self.processes.append(
                subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent(signal.SIGTERM)
                )
            )
        time.sleep(WATCH_SECONDS)

    @staticmethod
    def _lives(process: subprocess.Popen[bytes]) -> bool:
        """A killed worker is replaced; one that ended by itself with an error would only do so again."""
        code = process.poll()
        if code is not None and code > 0:
            raise DomainError(_("A worker process ended with exit code %s.") % code, code="worker_failed")
        return code is None


def run_and_those_before(run: Run) -> list[int]:
    """The run, and while it waits for its turn the runs of its bank and pipeline that it waits for."""
    if run.status != RunStatus.QUEUED or not PIPELINES[run.pipeline].serial:
        return [run.pk]
    with bank(run.bank_id):
        return list(
            Run.objects.filter(pipeline=run.pipeline, status__in=UNFINISHED).values_list("pk", flat=True)
        )


def work_off(bank_id: int, run_id: int) -> None:
    """What a worker process does: chunks of the run until it is finished."""
    while True:
        with bank(bank_id):
            run = Run.objects.get(pk=run_id)
        if run.is_finished:
            return
        if not work_once(run_ids=run_and_those_before(run)):
            time.sleep(IDLE_SECONDS)
