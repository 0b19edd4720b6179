"""What page and paper of a case show."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.http import Http404
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from credit_rating import words
from credit_rating.case_files import KINDS
from credit_rating.engine.classes import Level
from credit_rating.engine.exposure import CapUse
from credit_rating.engine.pricing import AskedRate, asked_rate
from credit_rating.engine.steps import ZERO, from_data
from credit_rating.models import (
    CaseStatus,
    CreditCase,
    LineCalculation,
    Opinion,
    OpinionPart,
    Rating,
    Verdict,
)
from credit_rating.models.cases import ENDED, STAGES
from credit_rating.policies.authority import STAGE_LABELS
from credit_rating.policies.classes import CODES
from credit_rating.selectors import cases as selectors
from credit_rating.selectors.calculation_news import news_now, news_seen
from credit_rating.selectors.calculations import calculation
from credit_rating.selectors.campaigns import member_of_case
from credit_rating.selectors.lines import asked_sub_limits
from credit_rating.selectors.ratings import rating, rating_before
from credit_rating.views.calculations import drawn_news, fine_unit, guarantee_scale, saved_context
from credit_rating.views.case_rows import TONES
from credit_rating.views.case_words import sources_of
from credit_rating.views.ratings import drawn_rating
from credit_rating.views.tie_words import told_ties
from credit_rating.views.warnings import drawn_warnings
from crm_site.accounts.selectors import bank_today
from crm_site.lib import formats
from crm_site.lib.errors import DomainError

TAB_LABELS = {
    "todo": gettext_lazy("To decide"),
    "decided": pgettext_lazy("case", "Decided"),
    "mine": gettext_lazy("Mine"),
    "copied": gettext_lazy("Copied"),
    "ended": pgettext_lazy("cases", "All that ended"),
}

RULES = {
    "rule:maker": gettext_lazy("has made it"),
    "rule:own": gettext_lazy("own customer"),
    "rule:relative": gettext_lazy("relative"),
    "rule:decided": gettext_lazy("has decided before"),
    "rule:recused": gettext_lazy("takes no part"),
}


def the_case(request: Any, case_id: int) -> CreditCase:
    try:
        return selectors.seen_case(request.actor, case_id)
    except CreditCase.DoesNotExist:
        raise Http404 from None


def shown(request: Any, found: CreditCase) -> dict[str, Any]:
    """What page and paper share, of a case read `with_record`."""
    record = selectors.record_of(request.actor, found)
    decided = selectors.decided_by(request.actor, found)
    today = bank_today(request.bank)
    seen = decided.seen if decided else selectors.seen_by(request.actor, found, today)
    rows, waits = seen.guarantees, found.is_waiting
    beside, saved, rated = (
        _beside(request, seen, today),
        _calculation(request, found, seen, decided, today),
        _rating(request, found),
    )
    return {
        "case": found,
        "customer": found.customer,
        "tone": TONES.get(found.status, ""),
        "rate": _asked_rate(found, saved),
        "asked_subs": asked_sub_limits(found),
        "before": _limit_before(found, seen),
        "stages": _stages(found, record),
        "route_why": _route_why(found),
        "is_without_branch": bool(found.route) and CaseStatus.BRANCH not in found.route,
        "opinions": [(o, TONES.get(o.verdict, ""), _broken(o)) for o in record.opinions],
        "hidden_votes": record.hidden_votes,
        "recused": [(s.staff.name, RULES.get(s.recused, s.recused)) for s in record.seats if s.recused],
        "signers": selectors.open_signers(found) if waits else [],
        "conditions": selectors.conditions_of(found),
        "rows": rows,
        "files": selectors.files_of(found),
        "accept": ",".join(kind.suffix for kind in KINDS.values()),
        "usable": sum((r.usable.amount for r in rows), ZERO),
        "guarantee_scale": guarantee_scale(rows),
        **beside,
        **_seen_when(request, found, decided, seen, today),
        "saved": saved,
        "rated": rated,
        "sources": sources_of(saved, rated, seen.whole.elsewhere, rows),
        "copies": list(found.copies.all()),
        "member": member_of_case(request.actor, found),
    }


def _route_why(found: CreditCase) -> str:
    """Why the case takes its route, and whether its guarantees counted."""
    why, pct = str(words.ROUTE_REASONS.get(found.route_why, "")), selectors.covered_pct(found)
    if pct is None:
        return why
    return _("%(why)s; guarantees cover %(pct)s%%: counts as unsecured") % {"why": why, "pct": pct}


def _limit_before(found: CreditCase, seen: selectors.Seen) -> Decimal | None:
    """The limit of the line that the case was to change, as it was seen; None once it has changed it."""
    if found.line is None or found.status == CaseStatus.APPROVED:
        return None
    return next((line.limit for line in seen.whole.lines if line.pk == found.line_id), found.line.limit)


def _seen_when(
    request: Any, found: CreditCase, decided: selectors.Decided | None, seen: selectors.Seen, today: dt.date
) -> dict[str, Any]:
    """Of which day the figures beside the dossier are, and what has moved since somebody last spoke of the case."""
    moved = selectors.moved_since(request.actor, found, seen)
    ties = _ties_now(seen) if moved else {}
    by, day = decided.opinion if decided else None, today
    if decided and found.closed_at:
        day = by.day if by else localdate(found.closed_at)
    seen_line = _("as of %s") % formats.day(day)
    if by is not None:
        who = STAGE_LABELS[by.stage] if by.part == OpinionPart.VOTE else by.staff.name
        seen_line = _("as seen on %(day)s by %(who)s") % {"day": formats.day(day), "who": who}
    return {
        "is_kept": decided is not None,
        "is_lost": decided is None and found.status in ENDED,
        "seen_line": seen_line,
        "moved": moved,
        "moved_caps": [(was, now, words.CAPS[now.code]) for was, now in moved.caps] if moved else [],
        "moved_warnings": drawn_warnings(request.actor, moved.warnings, today) if moved else [],
        "moved_classes": [(now, _class(was.level), _class(now.level)) for was, now in moved.classes] if moved else [],
        "moved_came": [(row, ties.get(row.member.customer_id, "")) for row in moved.came] if moved else [],
        "moved_left": moved.left if moved else [],
    }  # fmt: skip


def _ties_now(seen: selectors.Seen) -> dict[int, str]:
    """By which tie each member belongs, in words."""
    members = seen.whole.group.concentration.members if seen.whole.group else []
    return dict(zip((m.customer_id for m in members), told_ties(members), strict=True))


def _class(level: int) -> str:
    return CODES[Level(level)] if level else ""


def _beside(request: Any, seen: selectors.Seen, today: dt.date) -> dict[str, Any]:
    """What stands beside the dossier: the group, lines, other banks, warnings, earlier decisions."""
    whole = seen.whole
    context: dict[str, Any] = {
        "whole": whole,
        "warnings": drawn_warnings(request.actor, whole.warnings, today),
        "decisions": [(case, TONES.get(case.status, "")) for case in whole.decisions],
        "elsewhere_source": words.SOURCES[whole.elsewhere.source] if whole.elsewhere else "",
    }
    if whole.group is not None:
        rows, together = whole.group.rows, whole.group.concentration
        amounts = [together.lent, together.credit_after, *(use.cap for use in together.uses)]
        context |= {
            "members": [
                (row, _class(row.level), tie)
                for row, tie in zip(rows, told_ties(together.members), strict=True)
            ],
            "uses": [(use, words.CAPS[use.code]) for use in together.uses],
            "broken": [(use, words.CAPS[use.code]) for use in together.breaches],
            "group_scale": fine_unit(amounts),
        }
    return context


def _calculation(
    request: Any,
    found: CreditCase,
    seen: selectors.Seen,
    decided: selectors.Decided | None,
    today: dt.date,
) -> dict[str, Any] | None:
    """The calculation with what is newer than it, and by how much more is asked for; both as they were seen at an end."""
    if found.calculation_id is None:
        return None
    try:
        kept = calculation(request.actor, found.calculation_id)
    except LineCalculation.DoesNotExist:
        return None
    report, rows, news = seen.whole.elsewhere, seen.guarantees, []
    if decided:
        news = news_seen(kept, report, rows)
    elif found.status not in ENDED:
        news = news_now(request.actor, found.customer, kept, report, rows)
    return saved_context(kept) | {"news": drawn_news(news)} | _against_limit(found, kept, today)


def _against_limit(found: CreditCase, kept: LineCalculation, today: dt.date) -> dict[str, Any]:
    """All that the customer then has, None where that is this case alone, and by how much it is more than was calculated;
    nothing while an exchange rate is missing, which is said elsewhere."""
    day = found.as_of or today
    try:
        amount, alone = selectors.asked_in_all(found, day), selectors.asked_alone(found, day)
    except DomainError:
        return {"in_all": None, "above": ZERO}
    return {
        "in_all": None if amount == alone else amount,
        "above": selectors.above_limit(found, kept.limit, amount),
    }


def _asked_rate(found: CreditCase, saved: dict[str, Any] | None) -> AskedRate:
    """The rate asked for, beside the one that the case's calculation suggests."""
    asked = None if found.rate_bp is None else Decimal(found.rate_bp) / 10_000
    if saved is None:
        return AskedRate(asked)
    price = saved["content"]["price"]
    return asked_rate(asked, saved["rate"], from_data(price["steps"]) if price else [])


def _rating(request: Any, found: CreditCase) -> dict[str, Any] | None:
    if found.rating_id is None:
        return None
    try:
        kept = rating(request.actor, found.rating_id)
    except Rating.DoesNotExist:
        return None
    return drawn_rating(kept) | {"before": rating_before(request.actor, kept)}


def _broken(said: Opinion) -> list[tuple[CapUse, Any]]:
    """(cap, its name) of the caps that were broken when somebody agreed."""
    return [(use, words.CAPS[use.code]) for use in map(CapUse.from_json, said.broken_caps)]


def tally_words(votes: list[Opinion]) -> str:
    """What a closed vote came to: "Agree 3 · Abstain 1"."""
    return " · ".join(f"{Verdict(verdict).label} {n}" for verdict, n in selectors.tally(votes).items())


def queue_of(request: Any, found: CreditCase, tab: str) -> dict[str, Any]:
    """Where a case stands in the list it was opened from; what has left the list meanwhile is followed by its first."""
    if tab not in selectors.TABS:
        return {}
    at = selectors.place_of(request.actor, tab, found.pk, day=bank_today(request.bank))
    return {"list": tab, "list_label": TAB_LABELS[tab], "at": at, "most_counted": selectors.MOST_COUNTED}


def _decided(said: str, day: dt.date) -> str:
    return _("%(said)s, decided on %(day)s") % {"said": said, "day": formats.day(day)}


def _stages(found: CreditCase, record: selectors.Record) -> list[dict[str, Any]]:
    """The steps of the form: the manager's, then those of the route, with who has spoken at each and when."""
    maker = found.prepared_by.name
    if found.submitted_at:
        maker = _("%(name)s, submitted on %(day)s") % {
            "name": maker, "day": formats.day(localdate(found.submitted_at)),
        }  # fmt: skip
    steps: list[dict[str, Any]] = [
        {"label": _("Manager's investigation"), "state": "done" if found.round else "current", "note": maker}
    ]
    route = found.route or [stage.value for stage in STAGES]
    current = route.index(found.status) if found.status in route else -1
    for place, stage in enumerate(route):
        said = [o for o in record.opinions if o.stage == stage and o.round == found.round and not o.voided_at]
        decided = next((o for o in said if o.part == "decision"), None)
        if stage == "committee" and stage == found.status:
            cast = record.hidden_votes + sum(1 for o in said if o.part == "vote")
            seats = sum(1 for s in record.seats if s.kind == "member" and not s.recused)
            note = _("%(cast)s of %(seats)s votes, at least %(quorum)s") % {
                "cast": cast, "seats": seats, "quorum": found.quorum,
            }  # fmt: skip
        elif stage == "committee" and said:
            votes = [o for o in said if o.part == "vote"]
            note = _decided(tally_words(votes), max(o.day for o in votes))
        elif decided:
            note = _decided(f"{decided.staff.name} · {decided.get_verdict_display()}", decided.day)
        else:
            since = found.stage_since if place == current else None
            note = _("here since %s") % formats.day(localdate(since)) if since else ""
        done = place < current or found.status == CaseStatus.APPROVED or (current < 0 and bool(said))
        state = "current" if place == current else "done" if done else ""
        steps.append({"label": STAGE_LABELS[stage], "state": state, "note": note})
    if found.status in (CaseStatus.RETURNED, CaseStatus.REJECTED):  # the last that spoke has not let it pass
        next(step for step in reversed(steps) if step["state"])["state"] = ""
    return steps
