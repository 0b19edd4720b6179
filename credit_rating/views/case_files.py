"""Files of a case: added, opened, withdrawn."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from credit_rating.case_files import KINDS
from credit_rating.models import CaseFile
from credit_rating.selectors.cases.files import open_file
from credit_rating.services import cases as services
from credit_rating.views.case_page import the_case
from credit_rating.views.cases import case_answer
from crm_site.accounts.selectors import bank_today
from crm_site.lib.errors import DomainError
from crm_site.lib.guards import allowed


def uploads_of(request: Any) -> list[Any]:
    """What was chosen, from the folder or by the camera."""
    return [*request.FILES.getlist("files"), *request.FILES.getlist("photo")]


@allowed("credit.read")
@require_POST
def file_add(request: Any, case_id: int) -> HttpResponse:
    """Add files to an open case: all of them or none."""
    found, uploads = the_case(request, case_id), uploads_of(request)
    try:
        if not uploads:
            raise DomainError(_("Choose a file."), code="file_empty")
        services.add_files(
            request.actor,
            case_id=case_id,
            uploads=uploads,
            now=timezone.now(),
            today=bank_today(request.bank),
        )
    except DomainError as error:
        messages.error(request, error.message)
        return case_answer(request, found, status=error.status)
    messages.success(request, _("The files are with the case."))
    return redirect("credit_rating:case", case_id)


@allowed("credit.read")
@require_POST
def file_withdraw(request: Any, file_id: int) -> HttpResponse:
    """Who uploaded it takes a file back; it stays on record."""
    try:
        found = services.withdraw_file(
            request.actor, file_id=file_id, now=timezone.now(), today=bank_today(request.bank)
        )
    except CaseFile.DoesNotExist:
        raise Http404 from None
    except DomainError as error:
        found = CaseFile.objects.visible_to(request.actor).get(pk=file_id)
        messages.error(request, error.message)
        return case_answer(request, the_case(request, found.case_id), status=error.status)
    messages.success(request, _("The file is withdrawn; it stays on record."))
    return redirect("credit_rating:case", found.case_id)


@allowed("credit.read")
@require_GET
def file_open(request: Any, file_id: int) -> Any:
    """The bytes of a file, as what they are: photographs and PDF are shown, all else is saved."""
    try:
        found = open_file(request.actor, file_id)
    except CaseFile.DoesNotExist:
        raise Http404 from None
    except DomainError as error:
        row = CaseFile.objects.visible_to(request.actor).get(pk=file_id)
        messages.error(request, error.message)
        return case_answer(request, the_case(request, row.case_id), status=error.status)
    kind = KINDS[found.row.kind]
    answer = FileResponse(
        found.bytes,
        as_attachment=not kind.is_shown,
        filename=found.row.name,
        content_type=kind.content_type,
    )
    answer.headers["Cache-Control"] = "private, no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
