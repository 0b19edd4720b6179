from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from crm_site.lib.registry import NavItem, Panel, add_nav, add_panel


class CustomersConfig(AppConfig):
    name = "customers"
    verbose_name = _("Customers")

    def ready(self) -> None:
        from crm_site.lib.record_pages import RecordPage, add_record_pages
        from customers import nightly
        from customers.ingest import jobs as deliveries
        from customers.models import Batch, ExportRecord
        from customers.selectors import timeline as sources
        from customers.timeline import add_timeline_source

        nightly.register()
        deliveries.register()
        add_nav(NavItem("customers", _("Customers"), "customers:customer-list", "users", "customer.read", 20))
        add_nav(NavItem("imports", _("Imports"), "customers:import-list", "upload", "import.upload", 80))
        add_record_pages(
            "customers",
            [
                RecordPage(Batch, "import.upload", "customers:import"),
                RecordPage(
                    ExportRecord, "customer.read", "customers:export-log",
                    within=lambda key: f"?before={key + 1}#export-{key}",
                ),
            ],
        )  # fmt: skip
        for panel in PANELS:
            add_panel(panel)
        add_timeline_source("contacts", sources.contacts)
        add_timeline_source("products", sources.products)
        add_timeline_source("people", sources.people)
        add_timeline_source("ties", sources.ties)
        add_timeline_source("milestones", sources.milestones)


def _panel(
    name: str, title: object, view: str, tab: str, order: int, *, wide: bool = False, aside: bool = False,
    kinds: tuple[str, ...] = (),
) -> Panel:  # fmt: skip
    return Panel(
        name, title, f"customers:panel-{view}", "customer.read", tab, order, wide, aside, kinds=kinds
    )


PANELS = (
    _panel("trend", _("Deposits and loans"), "trend", "overview", 10, wide=True),
    _panel("accounts", _("Accounts"), "accounts", "overview", 20),
    _panel("loans", _("Loans"), "loans", "overview", 30),
    _panel("people", _("People at the company"), "people", "overview", 15, wide=True, kinds=("corporate",)),
    _panel("relations", _("Relation graph"), "relations", "overview", 60),
    _panel("tasks", _("Open tasks"), "tasks", "overview", 10, aside=True),
    _panel("timeline", _("Timeline"), "timeline", "overview", 20, aside=True),
    _panel("accounts-business", _("Accounts"), "accounts", "business", 10),
    _panel("loans-business", _("Loans"), "loans", "business", 20),
    _panel("products", _("Wealth, cards, standing orders"), "products", "business", 30),
    _panel("trend-business", _("Deposits and loans"), "trend", "business", 40, wide=True),
    _panel("entries", _("Transactions"), "entries", "business", 90, wide=True),
    _panel("contacts", _("Contacts"), "contacts", "service", 10, wide=True),
    _panel("tasks-service", _("Open tasks"), "tasks", "service", 10, aside=True),
    _panel("profile", _("Profile"), "profile", "information", 10, wide=True),
    _panel(
        "people-information",
        _("People at the company"),
        "people",
        "information",
        20,
        wide=True,
        kinds=("corporate",),
    ),
    _panel("relations-information", _("Relation graph"), "relations", "information", 40, wide=True),
    _panel("identity", _("Documents and contact"), "identity", "information", 10, aside=True),
    _panel("completeness", _("Completeness"), "completeness", "information", 20, aside=True),
)
