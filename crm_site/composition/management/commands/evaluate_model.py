"""evaluate_model {scorecard,churn,response} FILE.csv --target COLUMN: production's own method on an outside file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser

from crm_site.lib.commands import BanyanCommand, Meter
from crm_site.lib.errors import DomainError

if TYPE_CHECKING:
    from credit_rating.engine.evaluation import Figures
    from credit_rating.engine.samples import Sample
    from credit_rating.engine.scorecard import Development

PEER_NAMES = {
    "logistic": "plain logistic regression",
    "boosted": "HistGradientBoosting",
    "tree_evidence": "tree-binned weight of evidence",
}


class Command(BanyanCommand):
    help = "Cross-validate the method that production develops models with, on a file of your own."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("model", choices=["scorecard", "churn", "response"])
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument("--target", required=True, metavar="COLUMN")
        parser.add_argument(
            "--positive", metavar="VALUE", help="the outcome to predict; default: the rarer of two"
        )
        parser.add_argument("--drop", default="", metavar="A,B", help="columns not to use")
        parser.add_argument("--folds", type=int, default=5)
        parser.add_argument("--seed", type=int, default=42)
        parser.add_argument("--max-factors", type=int, metavar="N", help="scorecard: at most so many factors")
        parser.add_argument("--monotonic", action="store_true", help="scorecard: one trend for every number")
        parser.add_argument("--no-header", action="store_true", help="columns are named 1, 2, …")

    def work(self, **options: Any) -> Any:
        model: str = options["model"]
        if model == "response":
            raise DomainError("There is no response model yet: it comes with marketing.")
        if options["folds"] < 2 or not 0 <= options["seed"] < 2**32:
            raise DomainError("At least two folds are needed, and a seed from 0 to 4294967295.")
        if options["max_factors"] is not None and options["max_factors"] < 1:
            raise DomainError("At least one factor is needed.")
        if model == "churn" and (options["max_factors"] is not None or options["monotonic"]):
            raise DomainError("--max-factors and --monotonic are for scorecards.")
        sample = self._sample(options)
        if model == "scorecard":
            return self._scorecard(sample, options)
        return self._churn(sample, options)

    def _sample(self, options: dict[str, Any]) -> Sample:
        from credit_rating.engine.samples import SampleError, read_sample

        try:
            sample = read_sample(
                options["file"],
                target=options["target"],
                positive=options["positive"],
                drop=[name.strip() for name in options["drop"].split(",") if name.strip()],
                header=not options["no_header"],
            )
        except SampleError as error:
            raise DomainError(str(error)) from error
        rarer = min(int(sample.target.sum()), int((~sample.target).sum()))
        if rarer < options["folds"]:
            raise DomainError(f"{rarer} cases of the rarer outcome are too few for {options['folds']} folds.")
        return sample

    def _scorecard(self, sample: Sample, options: dict[str, Any]) -> dict[str, Any]:
        from credit_rating.engine.development import scorecard_method
        from credit_rating.engine.scorecard import develop
        from crm_site.composition.evaluation import points_table

        most, monotonic = options["max_factors"], options["monotonic"]
        found = self._evaluated(sample, scorecard_method(most, monotonic), options)
        development = develop(sample.columns, sample.target, max_factors=most, monotonic=monotonic)
        card = development.card
        scale = card.scale
        names = [factor.name for factor in card.factors]
        self._say_points(development)
        return {
            **found,
            "features": len(names),
            "factors": names,
            "base": card.base,
            "scale": {"score": scale.score, "odds": scale.odds, "pdo": scale.pdo},
            "points": points_table(development),
            "considered": [
                {"factor": c.name, "iv": c.iv, "left_out": c.reason} for c in development.considered
            ],
        }

    def _churn(self, sample: Sample, options: dict[str, Any]) -> dict[str, Any]:
        from crm_site.composition.evaluation import churn_factors, churn_method

        found = self._evaluated(sample, churn_method, options)
        names = churn_factors(sample)
        self.say(f"Factors: {', '.join(names) or 'none'}")
        return {**found, "features": len(names), "factors": names}

    def _evaluated(self, sample: Sample, method: Any, options: dict[str, Any]) -> dict[str, Any]:
        from crm_site.composition.evaluation import evaluate

        started, meter = time.perf_counter(), Meter()
        own, peers, seconds = evaluate(
            sample, method, folds=options["folds"], seed=options["seed"], progress=meter.show
        )
        meter.clear()
        taken = "as asked" if sample.taken_by == "given" else "the rarer outcome"
        self.say(
            f"{len(sample.target):,} rows, {int(sample.target.sum()):,} with {options['target']} = "
            f"{sample.positive} ({taken}), {options['folds']} folds, seed {options['seed']}"
        )
        if sample.without_target:
            self.say(f"{sample.without_target:,} rows without an outcome left out")
        for name, reason in sample.left_out.items():
            self.say(f"  {name} left out: {reason}")
        self._say_figures(options["model"], own, peers)
        return {
            "model": options["model"],
            "rows": len(sample.target),
            "positives": int(sample.target.sum()),
            "positive": sample.positive,
            "positive_taken": sample.taken_by,
            "rows_without_target": sample.without_target,
            "folds": options["folds"],
            "seed": options["seed"],
            **_as_json(own),
            "seconds": round(seconds, 2),
            "seconds_with_peers": round(time.perf_counter() - started, 2),
            "peers": {name: _as_json(peer) for name, peer in peers.items()},
            "left_out": sample.left_out,
        }

    def _say_figures(self, model: str, own: Figures, peers: Mapping[str, Figures]) -> None:
        self.say(f"{'mean of folds':32}{'AUC':>8}{'KS':>8}{'Gini':>8}{'Brier':>8}")
        named = {model: own, **{PEER_NAMES[name]: peer for name, peer in peers.items()}}
        for name, figures in named.items():
            row = (figures.auc, figures.ks, figures.gini, figures.brier)
            self.say(f"{name:32}" + "".join(f"{value:8.4f}" for value in row))

    def _say_points(self, development: Development) -> None:
        card = development.card
        self.say(
            f"Score = {card.base:g} + points; {card.scale.score:g} at {card.scale.odds:g} : 1, "
            f"{card.scale.pdo:g} points double the odds (the whole sample)"
        )
        for factor in card.factors:
            self.say(f"{factor.name} (information value {factor.iv:.3f})")
            for b in factor.bins:
                rate = f"{b.bad_rate:7.1%}" if b.count else f"{'':7}"
                self.say(f"  {b.points:+6g}  {b.count:>8,} {rate}  {b.label}")
        for name in development.suspects:
            self.say(f"{name} tells the outcome nearly by itself: was it known before? Else --drop it.")
        for left in (c for c in development.considered if c.reason):
            self.say(f"{left.name} left out: {left.reason} (information value {left.iv:.3f})")


def _as_json(figures: Figures) -> dict[str, Any]:
    return {
        "auc": figures.auc,
        "ks": figures.ks,
        "gini": figures.gini,
        "brier": figures.brier,
        "fold_auc": list(figures.fold_auc),
    }
