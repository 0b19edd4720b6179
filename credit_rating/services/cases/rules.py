"""What every act on a case shares: who may speak, why not, and how a refusal is said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from credit_rating.models import (
    CreditCase,
)
from crm_site.accounts.models import Staff
from crm_site.accounts.selectors import actor_for
from crm_site.lib.errors import Conflict, DomainError
from crm_site.lib.permissions import Actor, may
from crm_site.lib.tenancy import act_as

PREPARE, DECIDE, READ = "credit.prepare", "credit.decide", "credit.read"
REGISTER, MANAGE = "credit_register.manage", "line.manage"


class CaseFault(DomainError):
    """A case that cannot be made, submitted or decided like this."""


class Stale(Conflict):
    """What was shown is not what is there: `changed` says where, (place, before, after)."""

    def __init__(self, message: str, changed: Sequence[tuple[str, str, str]]) -> None:
        super().__init__(message, code="stale_dossier")
        self.changed = list(changed)


def objection_words() -> dict[str, str]:
    """Why somebody must not decide, in the reader's words."""
    return {
        "maker": _("Whoever has made a case or what it rests on does not decide it."),
        "own": _("Nobody decides on his own customer."),
        "relative": _("Nobody decides on a relative or a company of his."),
        "decided": _("Nobody decides twice in a round."),
        "recused": _("You take no part in this case."),
    }


def objection(codes: Iterable[str]) -> CaseFault:
    """The refusal that the first of these reasons makes."""
    first = next(iter(codes))
    return CaseFault(objection_words()[first], code=f"four_eyes_{first}")


def locked(actor: Actor, case_id: int) -> CreditCase:
    """The case, locked; what is changed from here on stands in the record with its number, unless the actor brings a
    reason. Raises CreditCase.DoesNotExist for one that the actor does not see."""
    found = CreditCase.objects.visible_to(actor).select_for_update(of=("self",))
    case: CreditCase = found.get(pk=case_id)
    act_as(actor, reason=actor.reason or case.number)
    return case


def sees(staff: Staff, case: CreditCase, today: dt.date) -> bool:
    """Whether the person may read credit and sees this case on the day."""
    actor = actor_for(staff, day=today)
    return may(actor, READ) and CreditCase.objects.visible_to(actor).filter(pk=case.pk).exists()


def address(case: CreditCase) -> str:
    """Where a notification leads."""
    return f"/credit/cases/{case.pk}/"
