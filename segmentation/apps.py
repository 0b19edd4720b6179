from django.apps import AppConfig
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm_site.lib.registry import SYSTEM_NAMES, NavItem, Panel, Watch, add_nav, add_panel, add_watch


class SegmentationConfig(AppConfig):
    name = "segmentation"
    verbose_name = _("Segmentation")

    def ready(self) -> None:
        from crm_site.lib.record_pages import RecordPage, add_record_pages
        from segmentation import churn_nightly, nightly, own_schemes, statistics
        from segmentation.models import ChurnModel, TierPolicy

        nightly.register()
        own_schemes.register()
        statistics.register()
        churn_nightly.register()
        SYSTEM_NAMES.add("churn model", _("Churn model"))
        add_watch(
            Watch(
                "champion",
                _("Churn models put to work"),
                (ChurnModel._meta.db_table,),
                Q(action="update", changes__status__1="champion"),
            )
        )
        add_nav(
            NavItem(
                "segments", _("Segments"), "segmentation:overview", "chart-dots-3", "segmentation.read", 30
            )
        )
        for tab, order in (("overview", 50), ("information", 30)):
            add_panel(
                Panel(
                    f"tiers-{tab}", _("Tier changes"), "segmentation:tier-panel", "customer.read", tab, order
                )
            )
        add_panel(
            Panel("churn", _("Churn risk"), "segmentation:churn-panel", "customer.read", "overview", 45)
        )
        add_record_pages(
            "segmentation",
            [
                RecordPage(TierPolicy, "policy.read", "segmentation:policy"),
                RecordPage(ChurnModel, "model.read", "segmentation:churn-model"),
            ],
        )
