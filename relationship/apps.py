"""Who looks after whom: assignment, its rules, queue and history; homes and dashboards of portfolios."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class RelationshipConfig(AppConfig):
    name = "relationship"

    def ready(self) -> None:
        from crm_site.lib.permissions import HEADQUARTERS, Role
        from crm_site.lib.registry import (
            NavItem,
            NoticeKind,
            Panel,
            add_home,
            add_nav,
            add_notice,
            add_panel,
            add_step,
            add_work_reason,
        )
        from relationship import facts, nightly, worklists
        from relationship.wording import say_assignment

        add_step(nightly.PLACEMENT)
        add_step(nightly.PROPOSALS)
        add_step(nightly.WORKLISTS)
        for reason in worklists.REASONS:
            add_work_reason(reason)
        add_notice(NoticeKind("assignment", "user-plus", say_assignment))
        facts.register()
        # An examiner's home is the record (crm_site.audit); he comes to the bank's figures by the rail.
        for role in sorted(HEADQUARTERS - {Role.AUDITOR}):
            add_home(role, "relationship:bank-home", 20)
        add_nav(
            NavItem(
                "bank",
                pgettext_lazy("navigation", "Bank"),
                "relationship:bank-home",
                "building-skyscraper",
                "dashboard.bank",
                10,
            )
        )
        add_home(Role.BRANCH_MANAGER, "relationship:branch-home", 30)
        add_home(Role.RELATIONSHIP_MANAGER, "relationship:own-home", 40)
        add_home(Role.TELLER, "relationship:counter-home", 50)
        add_nav(
            NavItem(
                "relationship", _("Relations"), "relationship:portfolio", "user-heart", "assignment.read", 40
            )
        )
        add_panel(
            Panel(
                "assignment",
                _("Responsible"),
                "relationship:customer-panel",
                "assignment.read",
                "overview",
                48,  # beside the churn risk, which is as short: what is long stands beside what is long
            )
        )
