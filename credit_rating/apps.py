"""Credit: scorecards, ratings, line calculation, approval, lines and early warning."""

from dataclasses import replace

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CreditRatingConfig(AppConfig):
    name = "credit_rating"
    verbose_name = _("Credit")

    def ready(self) -> None:
        from credit_rating import (
            campaign_run,
            evidence,
            facts,
            feeds,
            nightly,
            overview_night,
            policies,
            rating_night,
            record_pages,
            revaluations,
            sample_jobs,
            trial_jobs,
            warning_nightly,
        )
        from credit_rating.api import LINES_PART, RATINGS_PART
        from credit_rating.selectors.warnings import class_badge
        from credit_rating.services import rating_work, ties
        from credit_rating.services.policies import ensure_default_policies
        from credit_rating.services.scorecards import ensure_default_scorecards
        from crm_site.lib.registry import FOUNDING, NavItem, Panel, add_nav, add_panel
        from customers.view_parts import HeadBadge, add_head_badge, add_view_part

        policies.register()
        facts.register()
        evidence.register()
        nightly.register()
        rating_night.register()
        record_pages.register()
        revaluations.register()
        warning_nightly.register()
        overview_night.register()
        rating_work.register()
        sample_jobs.register()
        trial_jobs.register()
        campaign_run.register()
        feeds.register()
        ties.register()
        add_view_part(LINES_PART)
        badge = "_shared/badge_class.html"
        add_head_badge(HeadBadge("class", "credit.read", badge, "credit_rating:classes", class_badge))
        add_view_part(RATINGS_PART)
        FOUNDING.add("credit policies", ensure_default_policies)
        FOUNDING.add("scorecards", ensure_default_scorecards)
        add_nav(NavItem("credit", _("Credit"), "credit_rating:inbox", "building-bank", "credit.read", 25))
        for tab, order in (("overview", 35), ("business", 25)):
            add_panel(
                Panel(
                    f"lines-{tab}", _("Credit lines"), "credit_rating:line-panel", "credit.read", tab, order
                )
            )
        add_panel(
            Panel(
                "warnings", _("Early warnings"), "credit_rating:warning-panel", "credit.read", "overview", 33
            )
        )
        file = Panel(
            "credit-file", _("Credit file"), "credit_rating:panel-file", "credit.read", "overview", 15,
            aside=True, quick="building-bank",
        )  # fmt: skip
        add_panel(file)
        add_panel(replace(file, name="credit-file-business", tab="business", order=25, aside=False, quick=""))
        add_panel(
            Panel("rating", _("Credit rating"), "credit_rating:rating-panel", "credit.read", "business", 20)
        )
