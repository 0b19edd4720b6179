"""By which tie a member belongs to a group, in words: the calculation's and the case's page and papers say the same."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from credit_rating.policies.caps import TIE_LABELS
from credit_rating.selectors.exposure import Member
from crm_site.lib.formats import percent


def told_ties(members: Sequence[Member]) -> list[str]:
    """For each member, in their order: "" for the customer itself and where it was not kept."""
    names = {m.customer_id: m.name for m in members}
    own = {m.customer_id for m in members if m.is_self}
    return [_told(m, names.get(m.via or 0, ""), is_direct=m.via in own) for m in members]


def _told(member: Member, via: str, *, is_direct: bool) -> str:
    if not member.tie:
        return ""
    share = percent(member.tie_share, 1) if member.tie_share is not None else ""
    parts = [" ".join(filter(None, (str(TIE_LABELS[member.tie]), share)))]
    if not is_direct:
        parts.append(_("through %s") % (via or _("another customer of the bank")))
    return " · ".join(parts)
