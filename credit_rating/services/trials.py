"""Versions tried on the book before they are published: ordered by people, carried out by a job (trial_jobs), kept with the version.

Only versions that are not in force yet are tried: rules of early warning (C10), scorecards made by experts (C1, C12).
"""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from credit_rating.models import CreditPolicy, Scorecard, Trial, WorkStatus
from credit_rating.models.calculations import content_hash
from credit_rating.models.trials import TRY
from credit_rating.policies.warnings import SUBJECT as WARNINGS
from crm_site.accounts.models import Bank
from crm_site.accounts.versions import OPEN
from crm_site.jobs.services import start_run
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, require, require_person
from crm_site.lib.tenancy import require_bank

PIPELINE = "trial"
Version = CreditPolicy | Scorecard


def said_by(version: Version) -> str:
    """The hash of what a version says: another one has not been tried."""
    return content_hash([getattr(version, name) for name in version.content])


def is_triable(version: Version) -> bool:
    """Whether a version is of a kind that can be tried."""
    if isinstance(version, CreditPolicy):
        return version.subject == WARNINGS
    return version.origin == "expert"


def order_trial(actor: Actor, version: Version, *, now: dt.datetime) -> Trial:
    """Have a draft or proposal tried on the newest business date. What is tried already, or waits to be, is not tried
    again. Raises DomainError before the first night, Conflict for what is published."""
    require(actor, TRY)
    model = type(version)
    found = model._default_manager.select_for_update(of=("self",)).filter(pk=version.pk).first()
    if found is None or found.status not in OPEN or not is_triable(found):
        raise Conflict(_("Somebody has decided this version meanwhile."), code="policy_changed")
    day = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    if day is None:
        raise DomainError(_("No night has been run yet: there is nothing to try it on."), code="no_night")
    of = {"policy": found} if isinstance(found, CreditPolicy) else {"scorecard": found}
    given = {**of, "content_hash": said_by(found), "as_of": day}
    tried = Trial.objects.filter(**given, status=WorkStatus.DONE)
    known = (Trial.objects.filter(**of, status=WorkStatus.WAITING) | tried).first()
    if known is not None:
        return known
    made = Trial.objects.create(**given, ordered_by_id=require_person(actor, TRY), ordered_at=now)
    run = start_run(
        actor,
        pipeline=PIPELINE,
        business_date=day,
        params={"trial": made.pk},
        key=f"trial {made.pk}",
        now=now,
    )
    made.run_id = run.pk
    made.save(update_fields=["run_id"])
    return made


def try_proposal(actor: Actor, version: Version, *, now: dt.datetime) -> None:
    """Have a version tried when it is proposed, so that its second person finds what it would do. Nothing before the
    first night, nor for what is not tried."""
    day = Bank.objects.values_list("business_date", flat=True).get(pk=require_bank())
    if day is not None and is_triable(version):
        order_trial(actor, version, now=now)
