"""develop_scorecard FILE.csv --target COLUMN --bank CODE --kind KIND --name NAME: a draft for a second person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from credit_rating.engine.sample_files import SampleError
from credit_rating.models import CreditKind, Scorecard
from credit_rating.services.developing import FOLDS, SEED, Order, develop_draft
from crm_site.accounts.banks import bank_by_code
from crm_site.accounts.selectors import bank_today
from crm_site.lib.commands import BanyanCommand, Meter
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import system_actor
from crm_site.lib.tenancy import act_as, bank


class Command(BanyanCommand):
    help = (
        "Develop a scorecard from a file into a draft with its validation record; two people then publish it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument("--target", required=True, metavar="COLUMN")
        parser.add_argument("--bank", required=True, metavar="CODE")
        parser.add_argument("--kind", required=True, choices=CreditKind.values)
        parser.add_argument(
            "--name", required=True, help="its line: the next draft of the same name follows it"
        )
        parser.add_argument(
            "--positive", action="append", default=[], metavar="VALUE",
            help="a bad outcome (may be given again); default: the rarer of two",
        )  # fmt: skip
        parser.add_argument(
            "--negative", action="append", default=[], metavar="VALUE",
            help="a good outcome; rows of any other are left out; default: all that are not bad",
        )  # fmt: skip
        parser.add_argument("--drop", default="", metavar="A,B", help="columns not to use")
        parser.add_argument("--window", default="", help="which time the sample is of, in words")
        parser.add_argument(
            "--source", action="append", default=[], metavar="COLUMN=SOURCE",
            help="where the bank's own data give a factor; else the column of a source's name, else it is asked",
        )  # fmt: skip
        parser.add_argument("--max-factors", type=int, metavar="N", help="at most so many factors")
        parser.add_argument("--monotonic", action="store_true", help="one trend for every number")
        parser.add_argument("--folds", type=int, default=FOLDS)
        parser.add_argument("--seed", type=int, default=SEED)
        parser.add_argument("--no-header", action="store_true", help="columns are named 1, 2, …")

    def work(self, **options: Any) -> Any:
        found = bank_by_code(options["bank"])
        order, meter = self._order(options), Meter()
        actor = system_actor(found.pk, "command develop_scorecard")
        try:
            with bank(found.pk):
                act_as(actor)
                draft = develop_draft(
                    actor, order, options["file"], sample_name=options["file"].name, day=bank_today(found),
                    now=timezone.now(), progress=meter.show,
                )  # fmt: skip
        except SampleError as error:
            raise DomainError(str(error)) from error
        finally:
            meter.clear()
        return self._said(draft)

    def _order(self, options: dict[str, Any]) -> Order:
        return Order(
            kind=options["kind"], name=options["name"], target=options["target"],
            bad=tuple(options["positive"]), good=tuple(options["negative"]),
            drop=tuple(name.strip() for name in options["drop"].split(",") if name.strip()),
            window=options["window"], sources=dict(pair.partition("=")[::2] for pair in options["source"]),
            max_factors=options["max_factors"], monotonic=options["monotonic"], folds=options["folds"],
            seed=options["seed"], header=not options["no_header"],
        )  # fmt: skip

    def _said(self, draft: Scorecard) -> dict[str, Any]:
        record = draft.record or {}
        rows, folds = draft.body["tables"]["factors"], record["folds"]
        self.say(
            f"{draft.name} v{draft.version}: draft {draft.pk} with {len(rows)} factors, of {record['rows']:,} cases"
            f" in {record['seconds']} s"
        )
        self.say(
            f"AUC {folds['auc']:.4f}  KS {folds['ks']:.4f}  Gini {folds['gini']:.4f} (mean of {folds['count']} folds)"
        )
        for name in record.get("suspects", ()):
            self.say(f"{name} tells the outcome nearly by itself: was it known before? Else --drop it.")
        self.say(f"See it at /credit/scorecards/{draft.pk}/: one person proposes it, another publishes it.")
        return {
            "scorecard": draft.pk, "version": draft.version, "kind": draft.kind, "name": draft.name,
            "factors": [row["code"] for row in rows], "sources": {row["code"]: row["source"] for row in rows},
            "folds": folds, "parts": record["parts"], "seconds": record["seconds"],
        }  # fmt: skip
