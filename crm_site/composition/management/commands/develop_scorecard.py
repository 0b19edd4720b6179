"""develop_scorecard FILE.csv --target COLUMN --bank CODE --kind KIND --name NAME: a draft for a second person."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from credit_rating.models import CreditKind
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
        parser.add_argument("--positive", metavar="VALUE", help="the bad outcome; default: the rarer of two")
        parser.add_argument("--drop", default="", metavar="A,B", help="columns not to use")
        parser.add_argument("--window", default="", help="which time the sample is of, in words")
        parser.add_argument(
            "--source", action="append", default=[], metavar="COLUMN=SOURCE",
            help="where the bank's own data give a factor; else the column of a source's name, else it is asked",
        )  # fmt: skip
        parser.add_argument("--max-factors", type=int, metavar="N", help="at most so many factors")
        parser.add_argument("--monotonic", action="store_true", help="one trend for every number")
        parser.add_argument("--folds", type=int, default=5)
        parser.add_argument("--seed", type=int, default=42)
        parser.add_argument("--no-header", action="store_true", help="columns are named 1, 2, …")

    def work(self, **options: Any) -> Any:
        if options["folds"] < 2 or not 0 <= options["seed"] < 2**32:
            raise DomainError("At least two folds are needed, and a seed from 0 to 4294967295.")
        if options["max_factors"] is not None and options["max_factors"] < 1:
            raise DomainError("At least one factor is needed.")
        found = bank_by_code(options["bank"])
        named = self._sources(options["source"], options["kind"])
        with bank(found.pk):
            grades = self._grades(found, options["kind"])
        card, record = self._developed(options, grades)
        return self._kept(found, options, card, record, named)

    def _sources(self, given: list[str], kind: str) -> dict[str, str]:
        from credit_rating.factors import SOURCES

        named = dict(pair.partition("=")[::2] for pair in given)
        for column, source in named.items():
            if source not in SOURCES or kind not in SOURCES[source].kinds:
                known = ", ".join(code for code, s in SOURCES.items() if kind in s.kinds)
                raise DomainError(f"{column}: there is no source {source!r}; there are {known}.")
        return named

    def _grades(self, found: Any, kind: str) -> list[tuple[str, float]]:
        """The bank's grades with their probabilities of default, best first."""
        from credit_rating.selectors.policies import policy_on

        rows = policy_on("grades", bank_today(found), kind).body.tables["scale"]
        return [(str(row["grade"]), float(row["pd_pct"])) for row in rows]

    def _developed(self, options: dict[str, Any], grades: list[tuple[str, float]]) -> tuple[Any, Any]:
        from credit_rating.engine.development import develop_record
        from credit_rating.engine.samples import SampleError, read_sample

        meter, file = Meter(), options["file"]
        try:
            sample = read_sample(
                file, target=options["target"], positive=options["positive"], header=not options["no_header"],
                drop=[name.strip() for name in options["drop"].split(",") if name.strip()],
            )  # fmt: skip
            if min(int(sample.target.sum()), int((~sample.target).sum())) < 2 * options["folds"]:
                raise DomainError("There are too few cases of the rarer outcome for so many folds.")
            card, record = develop_record(
                sample, name=file.name, window=options["window"], grades=grades, max_factors=options["max_factors"],
                monotonic=options["monotonic"], folds=options["folds"], seed=options["seed"], progress=meter.show,
            )  # fmt: skip
        except (SampleError, ValueError) as error:
            raise DomainError(str(error)) from error
        meter.clear()
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return card, record | {"sha256": digest, "target": options["target"]}

    def _kept(
        self, found: Any, options: dict[str, Any], card: Any, record: Any, named: dict[str, str]
    ) -> Any:
        from credit_rating.factors import SOURCES
        from credit_rating.services.scorecards import draft_developed_card

        kind = options["kind"]
        names = [factor["name"] for factor in card["factors"]]
        sources = {n: n for n in names if n in SOURCES and kind in SOURCES[n].kinds} | named
        actor = system_actor(found.pk, "develop_scorecard")
        with bank(found.pk):
            act_as(actor)
            draft = draft_developed_card(
                actor,
                kind=kind,
                name=options["name"],
                card=card,
                record=record,
                sources=sources,
                now=timezone.now(),
            )
        folds = record["folds"]
        self.say(
            f"{draft.name} v{draft.version}: draft {draft.pk} with {len(names)} factors, of {record['rows']:,} cases"
        )
        self.say(
            f"AUC {folds['auc']:.4f}  KS {folds['ks']:.4f}  Gini {folds['gini']:.4f} (mean of {folds['count']} folds)"
        )
        self.say(f"See it at /credit/scorecards/{draft.pk}/: one person proposes it, another publishes it.")
        return {
            "scorecard": draft.pk, "version": draft.version, "kind": kind, "name": draft.name, "factors": names,
            "sources": {n: sources.get(n, "answer") for n in names}, "folds": folds, "parts": record["parts"],
        }  # fmt: skip
