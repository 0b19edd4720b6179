"""Files of a case: added by who makes or decides it, withdrawn, never gone (C6)."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import IO, Any, Protocol

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from credit_rating.case_files import MOST_BYTES, MOST_FILES, FileFault, kind_of, shown_name
from credit_rating.models import CaseCondition, CaseFile, CaseMaker, CreditCase
from credit_rating.models.cases import OPEN
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.cases import Capacity
from credit_rating.services.cases.flow import void_if_changed
from credit_rating.services.cases.rules import PREPARE, locked
from crm_site.lib.errors import Conflict
from crm_site.lib.files import new_file, remove
from crm_site.lib.permissions import Actor, may
from crm_site.lib.tenancy import require_bank

BLOCK = 256 * 1024
FOLDER = "cases"


class Upload(Protocol):
    """A file as a form hands it over."""

    name: Any
    size: Any
    file: IO[bytes] | None


def add_files(
    actor: Actor, *, case_id: int, uploads: Sequence[Upload], now: dt.datetime, today: dt.date
) -> list[CaseFile]:
    """Add files to an open case: all of them or none. While it is under way its dossier changes by that: earlier
    opinions of the round are void and it begins again.

    Who prepares may, and is a maker by it; so may who decides at its stage without an objection. Raises FileFault, DiskFull, Conflict.
    """
    with transaction.atomic():
        case = locked(actor, case_id)
        stands = _part_of(actor, case, today)
        if case.files.filter(condition=None, withdrawn_at__isnull=True).count() + len(uploads) > MOST_FILES:
            raise FileFault(_("A case holds at most %s files.") % MOST_FILES, code="file_count")
        kept = keep(actor, case, uploads, now)
        if stands is None:  # no decider who checks: a hand in what the case rests on
            CaseMaker.objects.get_or_create(case=case, staff_id=_staff(actor), part="file")
        if case.is_waiting:
            void_if_changed(case, now, today)
    return kept


def keep(
    actor: Actor,
    case: CreditCase,
    uploads: Sequence[Upload],
    now: dt.datetime,
    condition: CaseCondition | None = None,
) -> list[CaseFile]:
    """Store files and their rows: all or none. The same bytes again are the file that is there already."""
    paths: list[str] = []
    kept = []
    try:
        with transaction.atomic():
            for upload in uploads:
                kind, path, size, digest = _stored(upload)
                paths.append(path)
                same = case.files.filter(
                    condition=condition, digest=digest, withdrawn_at__isnull=True
                ).first()
                if same is not None:
                    remove(path)
                    kept.append(same)
                    continue
                kept.append(
                    CaseFile.objects.create(
                        case=case, condition=condition, name=shown_name(str(upload.name or ""), kind), kind=kind,
                        size=size, digest=digest, path=path, uploaded_by_id=_staff(actor), uploaded_at=now,
                    )
                )  # fmt: skip
    except BaseException as error:
        for path in paths:
            remove(path)
        if isinstance(error, IntegrityError):
            raise Conflict(_("Somebody has added the same file meanwhile."), code="file_twice") from error
        raise
    return kept


def _stored(upload: Upload) -> tuple[str, str, int, str]:
    """(kind, path, size, SHA-256) of a file that is on disk now. Raises FileFault, DiskFull; then nothing is kept."""
    source = upload.file
    if source is None or not upload.size:
        raise FileFault(_("The file is empty."), code="file_empty")
    if upload.size > MOST_BYTES:
        raise FileFault(_("A file has at most %s MB.") % (MOST_BYTES // 1024**2), code="file_size")
    kind = kind_of(source)
    source.seek(0)
    digest, size = hashlib.sha256(), 0
    with new_file(FOLDER, require_bank()) as (path, target):
        while block := source.read(BLOCK):
            size += len(block)
            digest.update(block)
            target.write(block)
    return kind, path, size, digest.hexdigest()


def _staff(actor: Actor) -> int:
    """Machines and jobs add no files."""
    if actor.staff_id is None:
        raise PermissionDenied(PREPARE)
    return actor.staff_id


def _part_of(actor: Actor, case: CreditCase, today: dt.date) -> Capacity | None:
    """As what somebody adds to an open case: who decides at its stage (his file makes him no maker), or None: who
    prepares it. Raises Conflict for a case that has ended, PermissionDenied for anybody else."""
    if case.status not in OPEN:
        raise Conflict(_("The case has ended."), code="case_ended")
    stands = selectors.capacity(actor, case, today)
    if stands is not None and not stands.objections:
        return stands
    if not may(actor, PREPARE):
        raise PermissionDenied(PREPARE)
    return None


def withdraw_file(actor: Actor, *, file_id: int, now: dt.datetime, today: dt.date) -> CaseFile:
    """Who uploaded a file, or who made the case, withdraws it: it stays on record and counts no more."""
    with transaction.atomic():
        found: CaseFile = CaseFile.objects.visible_to(actor).select_related("condition").get(pk=file_id)
        case = locked(actor, found.case_id)
        found.refresh_from_db(fields=["withdrawn_at"])
        if actor.staff_id is None or actor.staff_id not in (found.uploaded_by_id, case.prepared_by_id):
            raise FileFault(_("Who added a file, or made the case, withdraws it."), code="file_of_another")
        if found.withdrawn_at is not None:
            return found
        if found.condition is None:
            if case.status not in OPEN:
                raise Conflict(_("The case has ended."), code="case_ended")
        elif found.condition.accepted_at is not None:
            raise Conflict(_("Somebody has accepted it already."), code="condition_met")
        found.withdrawn_by_id, found.withdrawn_at = actor.staff_id, now
        found.save(update_fields=["withdrawn_by", "withdrawn_at"])
        if found.condition is None and case.is_waiting:
            void_if_changed(case, now, today)
    return found
