"""What happens elsewhere to a member's customer and moves the member on: a form submitted, a case ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.utils.translation import gettext as _

from credit_rating.models import CampaignMember, CaseStatus, CreditCase, InformationForm, MemberStage
from credit_rating.models.campaigns import SETTLED
from credit_rating.services.campaigns.rules import collect_stage
from crm_site.lib.postgres.bulk import update_rows


def note_collected(form: InformationForm, *, day: dt.date) -> None:
    """A form was submitted: its customer counts as collected in the campaign it is listed by, when it is complete."""
    listed = CampaignMember.objects.filter(customer=form.customer_id, is_open=True, stage=MemberStage.LISTED)
    for key, kind in listed.values_list("pk", "kind"):
        collect_stage([key], kind, day)


def note_approved(members: Sequence[CampaignMember], at: dt.datetime) -> None:
    """The cases of open members, each set already, were approved together (`note_case_ended` says it of one)."""
    for one in members:
        one.stage, one.settled_at = MemberStage.APPROVED, at
    update_rows(members, ["case", "stage", "settled_at"])


def note_case_ended(case: CreditCase) -> None:
    """What became of an ordinary case is what became of the member whose exception it settles."""
    members = CampaignMember.objects.filter(case=case, is_open=True).exclude(stage__in=SETTLED)
    if case.status == CaseStatus.APPROVED:
        members.update(stage=MemberStage.APPROVED, settled_at=case.closed_at)
    elif case.status == CaseStatus.REJECTED:
        members.update(
            stage=MemberStage.DECLINED, reason=_("Case %s was rejected.") % case.number, settled_at=case.closed_at
        )  # fmt: skip
    else:
        members.update(case=None)
