"""A worker process of the kill test: `python toy_worker.py BANK RUN`. Knows the toy pipeline."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main(bank_id: int, run_id: int) -> None:
    import django

    django.setup()
    from django.db import connection

    from crm_site.jobs.crew import work_off
    from crm_site.lib.registry import Counts, RunContext
    from crm_site.work.services import notify
    from tests.jobs import toy

    def tell(context: RunContext, payload: Mapping[str, Any]) -> Counts:
        """An effect that is not safe to repeat, then a statement during which the worker may be killed."""
        notify([context.params["staff"]], "toy", {"chunk": payload["from"]})
        with connection.cursor() as cursor:
            cursor.execute("select pg_sleep(%s)", [context.params["seconds"]])
        return Counts(1, 1)

    with toy.pipeline(toy.step("tell", chunks=6, work=tell), toy.step("after", after=("tell",))):
        work_off(bank_id, run_id)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "crm_site.settings"
    main(int(sys.argv[1]), int(sys.argv[2]))
