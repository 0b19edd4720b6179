"""What every act on a campaign shares: what it may be refused for, and the row it takes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from credit_rating.collection import read_values
from credit_rating.models import (
    Campaign,
    CampaignMember,
    CampaignStatus,
    CollectionStatus,
    InformationForm,
    MemberStage,
    customer_kind,
)
from credit_rating.selectors.calculations import needed_of
from credit_rating.selectors.campaigns import campaign_policy
from crm_site.lib.dates import add_months
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, Role
from customers.models.parties import LINE_KINDS

MANAGE, ZONE, RATE = "campaign.manage", "campaign.zone", "campaign.rate"
PREPARE, DECIDE = "credit.prepare", "credit.decide"


class CampaignFault(DomainError):
    """A campaign, zone, member or batch that cannot be made or changed like this."""


def fault(field: str, message: str, code: str = "campaign") -> CampaignFault:
    """A refusal that belongs to a field."""
    return CampaignFault(message, code=code, fields={field: message})


def manages(actor: Actor, kind: str) -> bool:
    """Whether a kind of customers is of the line that the actor's department looks after."""
    return actor.has({Role.LINE_DEPARTMENT}) and customer_kind(kind) in LINE_KINDS.get(
        actor.line_department, ()
    )


def locked_campaign(campaign_id: int) -> Campaign:
    """The campaign, its row taken. Raises Campaign.DoesNotExist."""
    return Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)


def running(campaign: Campaign) -> Campaign:
    """The campaign, which must be open. Raises Conflict."""
    if campaign.status != CampaignStatus.OPEN:
        raise Conflict(
            _("The campaign's state is: %s.") % campaign.get_status_display(), code="campaign_status"
        )
    return campaign


def collected_among(customers: Iterable[int], kind: str, day: dt.date) -> set[int]:
    """Of some customers those whose newest submitted form is complete enough and not too old, by the policy, and tells
    what the line calculation cannot do without: who lacks that is to be visited again, not to be rated in vain."""
    params = campaign_policy(day, kind).params
    forms = InformationForm.objects.filter(customer_id__in=list(customers), status=CollectionStatus.SUBMITTED)
    newest = forms.order_by("customer_id", "-submitted_at", "-id").distinct("customer_id")
    since = add_months(day, -int(params["form_months"]))
    needed = needed_of(kind)
    found = newest.values_list("customer_id", "completeness_pct", "submitted_at", "values")
    return {
        customer
        for customer, pct, at, values in found
        if pct >= params["complete_pct"]
        and at is not None
        and localdate(at) >= since
        and needed <= set(read_values(values))
    }


def collect_stage(members: Iterable[int], kind: str, day: dt.date) -> int:
    """Move those of some members (ids) that are listed alone to collected where they are; returns how many."""
    listed = CampaignMember.objects.filter(pk__in=list(members), stage=MemberStage.LISTED)
    found = collected_among(listed.values_list("customer_id", flat=True), kind, day)
    return listed.filter(customer_id__in=found).update(stage=MemberStage.COLLECTED)
