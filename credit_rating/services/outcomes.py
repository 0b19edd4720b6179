"""What became of loans, taken in as data for development samples (C1). See models.samples.LoanOutcome."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.utils.translation import gettext as _

from credit_rating.models import LoanOutcome
from credit_rating.models.samples import USE_OUTCOMES
from crm_site.audit.models import Action
from crm_site.audit.services import record
from crm_site.lib.errors import DomainError
from crm_site.lib.permissions import Actor, require
from customers.models import Loan


def take_outcomes(actor: Actor, *, codes: Mapping[str, str], observed_on: dt.date) -> tuple[int, int]:
    """Keep the outcomes (loan number -> code) observed on a day; returns how many are new and how many changed.

    The same again changes nothing. Raises DomainError for a loan that is not known, and for an outcome observed on
    the day of the loan or before. The load is on the record as a whole, not loan by loan.
    """
    require(actor, USE_OUTCOMES)
    loans = {
        loan.number: loan for loan in Loan.objects.filter(number__in=codes).only("number", "granted_date")
    }
    if unknown := sorted(set(codes) - set(loans)):
        raise DomainError(_("There is no loan %s.") % unknown[0], code="unknown_loan")
    early = [number for number, loan in loans.items() if loan.granted_date >= observed_on]
    if early:
        message = _("Loan %s: an outcome is observed after the day it was granted.")
        raise DomainError(message % min(early), code="early_outcome")
    known = {o.loan_id: o for o in LoanOutcome.objects.filter(loan__in=[loan.pk for loan in loans.values()])}
    fresh, changed = [], []
    for number, loan in loans.items():
        kept = known.get(loan.pk)
        if kept is None:
            fresh.append(
                LoanOutcome(
                    bank_id=actor.bank_id, loan=loan, code=codes[number], granted_date=loan.granted_date,
                    observed_on=observed_on,
                )
            )  # fmt: skip
        elif (kept.code, kept.granted_date, kept.observed_on) != (
            codes[number],
            loan.granted_date,
            observed_on,
        ):
            kept.code, kept.granted_date, kept.observed_on = codes[number], loan.granted_date, observed_on
            changed.append(kept)
    LoanOutcome.objects.bulk_create(fresh)
    LoanOutcome.objects.bulk_update(changed, ["code", "granted_date", "observed_on"])
    if fresh or changed:
        counts = {"new": len(fresh), "changed": len(changed), "observed_on": observed_on.isoformat()}
        record(actor, Action.FILE, "credit_rating_loanoutcome", changes=counts)
    return len(fresh), len(changed)
