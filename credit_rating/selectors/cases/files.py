"""Files of a case as a reader sees them, and the bytes of one (C6)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import IO

from django.utils.translation import gettext as _

from credit_rating.models import CaseFile, CreditCase
from credit_rating.selectors.cases.people import Capacity
from crm_site.lib.errors import DomainError
from crm_site.lib.files import full_path
from crm_site.lib.permissions import Actor, may

BLOCK = 1024 * 1024


class FileLost(DomainError):
    """The bytes of a file are gone or are not those that were uploaded."""

    status = 409


def files_of(case: CreditCase) -> list[CaseFile]:
    """All files of a case, withdrawn ones too, oldest first; evidence of conditions is asked of the condition."""
    return [file for file in case.files.all() if file.condition_id is None]


def told_files_of(cases: Collection[int]) -> dict[int, list[dict[str, object]]]:
    """case -> the files that count, as the dossier names them; without those that have none."""
    told: dict[int, list[dict[str, object]]] = defaultdict(list)
    found = CaseFile.objects.filter(case_id__in=cases, condition__isnull=True, withdrawn_at__isnull=True)
    for f in found.order_by("id"):
        told[f.case_id].append(
            {"name": f.name, "kind": f.kind, "size": f.size, "sha256": f.digest, "by": f.uploaded_by_id}
        )
    return dict(told)


def may_add_files(actor: Actor, stands: Capacity | None) -> bool:
    """Who prepares credit may; of the others who speaks at the case's stage (`capacity`) and has nothing against him."""
    return may(actor, "credit.prepare") or (stands is not None and not stands.objections)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file whose bytes are those that were uploaded, ready to be sent."""

    row: CaseFile
    bytes: IO[bytes]


def open_file(actor: Actor, file_id: int) -> OpenFile:
    """Raises CaseFile.DoesNotExist for one that the actor does not see, FileLost when the bytes are not the same."""
    row: CaseFile = CaseFile.objects.visible_to(actor).get(pk=file_id)
    digest = hashlib.sha256()
    try:
        file = full_path(row.path).open("rb")
        while block := file.read(BLOCK):
            digest.update(block)
    except OSError as error:
        raise FileLost(_("The file is not there any more."), code="file_lost") from error
    if digest.hexdigest() != row.digest:
        file.close()
        raise FileLost(_("The file is not what was uploaded."), code="file_changed")
    file.seek(0)
    return OpenFile(row, file)
