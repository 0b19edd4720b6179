"""Development of scorecards from samples: one service for the command, the page's job and whoever else asks (C1, C12).

Loads the engine that develops, so it is called where work is done: in commands and jobs, never in the web process.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from credit_rating.engine.sample_files import SampleError
from credit_rating.factors import ANSWER, SOURCES
from credit_rating.models import Development, DevelopmentSample, SampleOrigin, Scorecard, WorkStatus
from credit_rating.models.samples import DEVELOP
from credit_rating.selectors.outcomes import write_outcomes
from credit_rating.selectors.policies import policy_on
from credit_rating.services.scorecards import draft_developed_card, refuse_taken_line
from crm_site.accounts.models import Bank, Staff
from crm_site.accounts.selectors import actor_for, bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, require
from crm_site.lib.tenancy import act_as, require_bank

FOLDS, SEED = 5, 42
MOST_COLUMNS = 1000  # of a sample that people choose from on a page
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Order:
    """What is to be developed. `name`: the card's line; `bad`, `good`: labels of `target` (none: the rarer of two is
    bad; all that are not bad are good); `drop`: columns not to use; `sources`: column -> code of factors.SOURCES, else
    the source of its own name, else it is asked; `window`: which time the sample is of, in words.
    """

    kind: str
    name: str
    target: str
    bad: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    window: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    max_factors: int | None = None
    monotonic: bool = False
    folds: int = FOLDS
    seed: int = SEED
    header: bool = True


def check_order(order: Order) -> None:
    """Raise DomainError, naming the field where there is one, for what no sample could mend."""
    if order.folds < 2 or not 0 <= order.seed < 2**32:
        raise DomainError(_("At least two folds are needed, and a seed from 0 to 4294967295."))
    if order.max_factors is not None and order.max_factors < 1:
        message = _("At least one factor is needed.")
        raise DomainError(message, fields={"max_factors": message})
    refuse_taken_line(order.kind, order.name)
    for column, source in order.sources.items():
        if source not in SOURCES or order.kind not in SOURCES[source].kinds:
            known = ", ".join(code for code, s in SOURCES.items() if order.kind in s.kinds)
            message = _("%(column)s: there is no source '%(source)s'; there are %(known)s.")
            raise DomainError(message % {"column": column, "source": source, "known": known})


def fits(source: str, *, is_number: bool, labels: Collection[str]) -> bool:
    """Whether a source gives what a column of the sample holds: numbers, or answers among its own."""
    found = SOURCES[source]
    if found.code == ANSWER or found.is_number:
        return found.code == ANSWER or is_number
    return not is_number and bool(labels) and set(labels) <= {code for code, _label in found.choices}


def own_source(kind: str, name: str, *, is_number: bool, labels: Collection[str]) -> str:
    """The source that bears a column's name, where customers of this kind have it and it fits; else it is asked."""
    known = name in SOURCES and kind in SOURCES[name].kinds
    return name if known and fits(name, is_number=is_number, labels=labels) else ANSWER


def develop_draft(
    actor: Actor, order: Order, path: Path, *, sample_name: str, day: dt.date, now: dt.datetime,
    progress: Progress = lambda what, share: None,
) -> Scorecard:  # fmt: skip
    """Develop a scorecard from the file at `path` into a draft with its validation record. Runs inside the bank.

    Graded by the bank's grades of `day`. Raises SampleError for what is wrong with the file, DomainError for what is
    wrong with the order.
    """
    from credit_rating.engine.development import develop_record
    from credit_rating.engine.samples import read_sample

    require(actor, DEVELOP)
    check_order(order)
    scale = policy_on("grades", day, order.kind).body.tables["scale"]
    sample = read_sample(
        path,
        target=order.target,
        positive=order.bad,
        negative=order.good,
        drop=order.drop,
        header=order.header,
    )
    card, record = develop_record(
        sample, name=sample_name, window=order.window, max_factors=order.max_factors, monotonic=order.monotonic,
        grades=[(str(row["grade"]), float(row["pd_pct"])) for row in scale],
        folds=order.folds, seed=order.seed, progress=progress,
    )  # fmt: skip
    own = {
        f["name"]: own_source(
            order.kind, f["name"], is_number=f["is_number"],
            labels=[v for b in f["bins"] if b["kind"] == "values" for v in b["values"]],
        )
        for f in card["factors"]
    }  # fmt: skip
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return draft_developed_card(
        actor, kind=order.kind, name=order.name, card=card,
        record=record | {"sha256": digest, "target": order.target},
        sources={**own, **order.sources}, now=now,
    )  # fmt: skip


def path_of(sample: DevelopmentSample) -> Path:
    return Path(settings.MEDIA_ROOT) / sample.path


def read_in(sample_id: int) -> DevelopmentSample:
    """What the job of a sample does: writes it where it is one of outcomes, and looks at its columns.

    Safe to repeat. A fault of the file is kept with the sample; what breaks otherwise is raised.
    """
    from credit_rating.engine.samples import profile

    sample = DevelopmentSample.objects.select_for_update().get(pk=sample_id)
    if sample.status == WorkStatus.DONE or not sample.path:
        return sample
    path = path_of(sample)
    try:
        if sample.origin == SampleOrigin.OUTCOMES:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            write_outcomes(_as(sample.made_by), dt.date.fromisoformat(sample.asked["as_of"]), path)
        sample.rows, found = profile(path, header=sample.has_header)
        if len(found) > MOST_COLUMNS:
            raise SampleError("many_columns", "too many", columns=len(found), most=MOST_COLUMNS)
        sample.columns = [column.as_json() for column in found]
        sample.status, sample.fault, sample.fault_params = WorkStatus.DONE, "", {}
    except (SampleError, DomainError, PermissionDenied) as error:
        sample.status = WorkStatus.FAILED
        sample.fault, sample.fault_params = _fault(error)
    if path.exists():
        sample.size_bytes = path.stat().st_size
        with path.open("rb") as file:
            sample.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    sample.save(update_fields=["rows", "columns", "status", "fault", "fault_params", "size_bytes", "sha256"])
    return sample


def carry_out(development_id: int, *, run_id: int | None, progress: Progress) -> Development:
    """What the job of an order does: the draft of whoever ordered it, or why there is none. Safe to repeat."""
    found = Development.objects.select_for_update().get(pk=development_id)
    if found.status == WorkStatus.DONE:
        return found
    now = timezone.now()
    try:
        with transaction.atomic(), override(found.ordered_by.language or None):
            actor = _as(found.ordered_by, run_id)
            act_as(actor)
            if not found.sample.path or not path_of(found.sample).exists():
                raise SampleError("unreadable", "gone")
            found.scorecard = develop_draft(
                actor, order_of(found), path_of(found.sample), sample_name=found.sample.name,
                day=bank_today(Bank.objects.get(pk=require_bank())), now=now, progress=progress,
            )  # fmt: skip
        found.status, found.fault, found.fault_params = WorkStatus.DONE, "", {}
    except (SampleError, DomainError, PermissionDenied) as error:
        found.status = WorkStatus.FAILED
        found.fault, found.fault_params = _fault(error)
    found.finished_at = now
    found.save(update_fields=["scorecard", "status", "fault", "fault_params", "finished_at"])
    return found


def order_of(found: Development) -> Order:
    return Order(
        kind=found.kind, name=found.name, target=found.target, bad=tuple(found.bad), good=tuple(found.good),
        drop=tuple(found.drop), window=found.window, sources=found.sources, max_factors=found.max_factors,
        monotonic=found.monotonic, header=found.sample.has_header,
    )  # fmt: skip


def _as(person: Staff, run_id: int | None = None) -> Actor:
    """Whoever ordered it, with the roles of today: a right that was taken away is not used by a job."""
    day = bank_today(Bank.objects.get(pk=require_bank()))
    return replace(actor_for(person, day=day), run_id=run_id)


def _fault(error: Exception) -> tuple[str, dict[str, Any]]:
    if isinstance(error, SampleError):
        return error.code, {name: str(value)[:200] for name, value in error.params.items()}
    if isinstance(error, DomainError):
        return "refused", {"text": error.message[:300]}
    return "not_allowed", {}
