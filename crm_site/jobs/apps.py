from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    name = "crm_site.jobs"
    label = "jobs"
    verbose_name = _("Jobs")

    def ready(self) -> None:
        from crm_site.jobs.models import Run
        from crm_site.lib.record_pages import RecordPage, add_record_pages
        from crm_site.lib.registry import NavItem, add_nav

        add_nav(NavItem("jobs", _("Jobs"), "jobs:run-list", "progress", "job.read", order=90))
        add_record_pages("jobs", [RecordPage(Run, "job.read", "jobs:run-detail")])
