"""What people do with development samples: upload, have one made of outcomes, download, order a development, delete.

Files lie outside the web root, under the bank's own folder, until they expire. Nothing here loads the engine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from credit_rating.engine.sample_files import (
    SampleError,
    first_rows,
    is_workbook,
    least_cases,
    refuse_no_names,
    refuse_no_text,
)
from credit_rating.factors import SOURCES, Source
from credit_rating.models import Development, DevelopmentSample, SampleOrigin, WorkStatus
from credit_rating.models.samples import DEVELOP, USE_OUTCOMES
from credit_rating.sample_words import fault_text
from credit_rating.selectors.outcomes import outcomes_known
from credit_rating.services.developing import Order, check_order, fits, path_of
from crm_site.accounts.models import Bank
from crm_site.accounts.selectors import business_date
from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.jobs.models import UNFINISHED, Run
from crm_site.jobs.services import start_run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require, require_person
from crm_site.lib.tenancy import require_bank
from customers.ingest.reading import check_workbook
from customers.ingest.spool import discard, spool
from customers.models import ExportRecord

FOLDER = "samples"  # below MEDIA_ROOT
READ, DEVELOP_CARD = "sample", "scorecard"  # pipelines
MOST_BYTES = 200 * 1024**2
KEEP = dt.timedelta(days=30)
LEAST_PURPOSE = 4


class UploadedFile(Protocol):
    name: str | None
    size: int | None

    def chunks(self) -> Iterator[bytes]: ...

    def seek(self, offset: int, /) -> Any: ...


def upload_sample(
    actor: Actor, *, file: UploadedFile, has_header: bool, now: dt.datetime
) -> DevelopmentSample:
    """Keep a person's file as a sample; a job looks at its columns. DomainError names the field "file"."""
    require(actor, DEVELOP)
    if (file.size or 0) > MOST_BYTES:
        raise _about_file(_("A sample has at most %s MB.") % (MOST_BYTES // 1024**2))
    head = next(iter(file.chunks()), b"")
    file.seek(0)
    try:
        if not is_workbook(head):
            refuse_no_text(head)
    except SampleError as error:
        raise _about_file(fault_text(error.code, error.params)) from error
    spooled = spool(file.chunks(), bank_id=actor.bank_id, is_text=False, folder=FOLDER)
    try:
        if is_workbook(head):
            check_workbook(spooled.full_path)
        if has_header:
            _check_names(spooled.full_path)
        return _kept(
            actor, now, name=(file.name or "")[-200:], path=spooled.path, size_bytes=spooled.size,
            sha256=spooled.digest, has_header=has_header,
        )  # fmt: skip
    except SampleError as error:
        discard(spooled.path)
        raise _about_file(fault_text(error.code, error.params)) from error
    except DomainError as error:
        discard(spooled.path)
        raise _about_file(error.message) from error
    except BaseException:
        discard(spooled.path)
        raise


def _check_names(path: Path) -> None:
    rows = first_rows(path)
    try:
        refuse_no_names(rows[0] if rows else [], rows[1] if len(rows) > 1 else [])
    except SampleError as error:
        what_to_do = _(
            "If the file has no line of names, clear “The first line holds the names” and upload it again."
        )
        raise _about_file(f"{fault_text(error.code, error.params)} {what_to_do}") from error


def _about_file(message: str) -> DomainError:
    return DomainError(message, code="sample_file", fields={"file": message})


def sample_of_outcomes(
    actor: Actor, *, as_of: dt.date, today: dt.date, now: dt.datetime
) -> DevelopmentSample:
    """Have a sample made of the bank's own loans whose outcome had been observed by `as_of`, today at the latest."""
    require(actor, USE_OUTCOMES)
    fault, known = "", outcomes_known(actor, as_of)
    if as_of > today:
        fault = _("This day is still to come.")
    elif not known["loans"]:
        fault = fault_text("no_outcomes", {})
    if fault:
        raise DomainError(fault, code="sample_as_of", fields={"as_of": fault})
    name = f"outcomes-{as_of.isoformat()}.csv"
    path = f"{FOLDER}/{actor.bank_id}/{uuid4().hex}"
    days = {"as_of": as_of, "first": known["granted_from"], "last": known["granted_to"]}
    asked = {name: day.isoformat() for name, day in days.items()}
    return _kept(actor, now, name=name, path=path, origin=SampleOrigin.OUTCOMES, asked=asked)


def _kept(actor: Actor, now: dt.datetime, **fields: Any) -> DevelopmentSample:
    sample = DevelopmentSample.objects.create(
        made_by_id=require_person(actor, DEVELOP), made_at=now, expires_at=now + KEEP, **fields
    )
    sample.run_id = _start(actor, READ, {"sample": sample.pk}, now)
    sample.save(update_fields=["run_id"])
    return sample


def _start(actor: Actor, pipeline: str, params: Mapping[str, int], now: dt.datetime) -> int:
    day = business_date(Bank.objects.get(pk=require_bank()))
    key = " ".join(f"{name} {number}" for name, number in params.items())
    return start_run(actor, pipeline=pipeline, business_date=day, params=params, key=key, now=now).pk


def order_development(actor: Actor, *, sample_id: int, order: Order, now: dt.datetime) -> Development:
    """Order a scorecard to be developed from a sample: a job makes the draft. The same order while one waits is that
    one. DomainError names the fields that are wrong."""
    require(actor, DEVELOP)
    sample = DevelopmentSample.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=sample_id)
    if not sample.is_ready:
        raise Conflict(_("Nothing can be developed from this sample (any more)."), code="sample_gone")
    check_order(order)
    if faults := dict(_faults(sample, order)):
        raise DomainError(next(iter(faults.values())), code="development", fields=faults)
    kept = asdict(order) | {name: list(getattr(order, name)) for name in ("bad", "good", "drop")}
    for name in ("folds", "seed", "header"):
        del kept[name]
    waiting = sample.developments.filter(
        status=WorkStatus.WAITING, ordered_by_id=actor.staff_id, **kept
    ).first()
    if waiting is not None:
        return waiting
    found = Development.objects.create(
        sample=sample, ordered_by_id=require_person(actor, DEVELOP), ordered_at=now, **kept
    )
    found.run_id = _start(actor, DEVELOP_CARD, {"development": found.pk}, now)
    found.save(update_fields=["run_id"])
    return found


def _faults(sample: DevelopmentSample, order: Order) -> Iterator[tuple[str, str]]:
    """What this sample has not, by field."""
    columns = {column["name"]: column for column in sample.columns}
    if order.target not in columns:
        yield "target", _("There is no such column.")
        return
    labels = dict(columns[order.target]["labels"])
    bad, good = ([label for label in side if label in labels] for side in (order.bad, order.good))
    if not bad or not good or set(bad) & set(good):
        yield "target", _("At least one value is bad, and another one good.")
        return
    rarer, least = min(sum(labels[label] for label in side) for side in (bad, good)), least_cases(order.folds)
    if rarer < least:
        params = {"cases": rarer, "folds": order.folds, "least": least}
        yield "target", fault_text("few_cases", params)
    left = [c for c in columns.values() if c["name"] not in (order.target, *order.drop) and not c["left_out"]]
    if not left:
        yield "columns", fault_text("no_factor", {})
    for name, code in order.sources.items():
        held = columns.get(name)
        listed = [label for label, _cases in held["labels"]] if held else []
        if held and not fits(code, is_number=held["kind"] == "number", labels=listed):
            yield "columns", _misfit(name, SOURCES[code])
            break
    if not order.window.strip():
        yield "window", _("Say which time the sample is of.")


def _misfit(column: str, source: Source) -> str:
    given = ", ".join(code for code, _label in source.choices) or _("numbers")
    message = _("%(column)s holds other values than its source “%(source)s” gives: %(given)s.")
    return message % {"column": column, "source": source.label, "given": given}


def export_sample(
    actor: Actor, *, sample_id: int, purpose: str, now: dt.datetime
) -> tuple[DevelopmentSample, Path]:
    """Put a download on the record, with what it is for, and return the file."""
    staff_id = require_person(actor, DEVELOP)
    sample = DevelopmentSample.objects.visible_to(actor).get(pk=sample_id)
    given = purpose.strip()
    if len(given) < LEAST_PURPOSE:
        message = _("Say what the export is for.")
        raise DomainError(message, fields={"purpose": message})
    if not sample.is_ready or not path_of(sample).exists():
        raise Conflict(_("The file has been deleted."), code="sample_gone")
    entry = ExportRecord.objects.create(
        staff_id=staff_id, at=now, what="development sample", sentence=sample.name, rows=sample.rows,
        purpose=given[:200],
    )  # fmt: skip
    record(
        actor, Action.EXPORT, "credit_rating_developmentsample", key=sample.pk, reason=given[:200],
        changes={"rows": sample.rows, "export": entry.pk},
    )  # fmt: skip
    return sample, path_of(sample)


def delete_sample_file(actor: Actor, *, sample_id: int) -> None:
    """Delete a sample's file before its time; what is known of it stays. Conflict while a job works with it."""
    require(actor, DEVELOP)
    sample = DevelopmentSample.objects.visible_to(actor).select_for_update(of=("self",)).get(pk=sample_id)
    waiting = [sample.run_id] if sample.status == WorkStatus.WAITING else []
    waiting += sample.developments.filter(status=WorkStatus.WAITING).values_list("run_id", flat=True)
    if Run.objects.filter(pk__in=waiting, status__in=UNFINISHED).exists():
        raise Conflict(_("A job works with this file."), code="sample_busy")
    _drop_file(sample)


def _drop_file(sample: DevelopmentSample) -> None:
    path, sample.path = sample.path, ""
    sample.save(update_fields=["path"])
    transaction.on_commit(lambda: discard(path))


def forget_expired(now: dt.datetime) -> int:
    """Delete the files whose time is over, in the active bank; returns how many."""
    due = DevelopmentSample.objects.filter(expires_at__lte=now).exclude(path="")
    for sample in due:
        _drop_file(sample)
    return len(due)
