"""python -m tests.bench --customers N [--only list,search] [--keep]: each row against its limit in one run."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path

from tests.bench.rows import Row, row, save, table
from tests.rig import Rig, Work, rig

DAY = dt.date(2026, 10, 31)
CODE = "bench"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--only", default="", help="names of rows, separated by commas")
    parser.add_argument(
        "--keep", action="store_true", help="keep servers' data, and use what a run before kept"
    )
    chosen = parser.parse_args(arguments)
    rows: list[Row] = []
    with rig("bench", keep=chosen.keep) as servers:
        try:
            for one in measure(servers, chosen.customers, set(filter(None, chosen.only.split(",")))):
                rows.append(one)
                print(
                    f"  {one.name}: {one.ours} {one.unit} (limit {one.limit}, ratio {one.ratio}, by processors {one.cpu_ratio})",
                    file=sys.stderr,
                    flush=True,
                )
        finally:
            print(table(rows))
            save(rows, Path(servers.data).parent / "bench.json")
    return 0


def measure(servers: Rig, customers: int, only: set[str]):
    """Every row, subject by subject; the order is the day's: files in, the night, the pages."""
    from crm_site.accounts.models import Bank
    from tests.bench import campaign, deliveries, lines, night, pages, rls

    def wanted(names: tuple[str, ...]) -> set[str]:
        return {name for name in names if not only or name in only}

    if names := wanted(deliveries.NAMES):
        yield from deliveries.run(servers, customers, names)
    if (
        wanted(("make_bank", *night.NAMES, *pages.NAMES, *lines.NAMES, *rls.NAMES))
        and not Bank.objects.filter(code=CODE).exists()
    ):
        with Work() as work:
            made = servers.json("make_bank", CODE, "--customers", str(customers), "--date", DAY.isoformat())
        yield row("make_bank", customers, made["seconds"], peak_mib=max(work.mib, made["peak_mib"]))
        with servers.admin() as admin:
            admin.execute("VACUUM ANALYZE")
    if wanted(pages.CREDIT) and not has_ratings():
        with Work() as work:
            made = servers.json("make_ratings", CODE)
        note = f"{made['rows']['rating']:,} ratings, {made['rows']['case']:,} cases"
        yield row(
            "make_ratings", customers, made["seconds"], peak_mib=max(work.mib, made["peak_mib"]), note=note
        )
        with servers.admin() as admin:
            admin.execute("VACUUM ANALYZE")
    if names := wanted(night.NAMES):
        yield from night.run(servers, CODE, customers, names, DAY)
    if names := wanted(pages.NAMES):
        yield from pages.run(servers, CODE, customers, names)
    if wanted(lines.NAMES):
        yield from lines.run(servers, CODE, customers)
    if wanted(campaign.NAMES):
        yield from campaign.run(servers)
    if wanted(rls.NAMES):
        yield from rls.run(servers, CODE, customers)


def has_ratings() -> bool:
    """Whether the bank of the bench, which a run may have kept from before there were any, has ratings."""
    from credit_rating.models import Rating
    from crm_site.accounts.models import Bank
    from crm_site.lib.tenancy import bank

    with bank(Bank.objects.get(code=CODE).pk):
        return Rating.objects.exists()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
