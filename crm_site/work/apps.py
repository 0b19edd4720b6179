from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WorkConfig(AppConfig):
    name = "crm_site.work"
    label = "work"
    verbose_name = _("Work")

    def ready(self) -> None:
        from crm_site.lib.registry import NavItem, add_nav, add_notice, add_topic, add_work_reason
        from crm_site.work.reasons import NOTICES, REASONS
        from crm_site.work.services import notify_of_run

        for reason in REASONS:
            add_work_reason(reason)
        for notice in NOTICES:
            add_notice(notice)
        add_topic("run.finished", notify_of_run)
        add_nav(NavItem("tasks", _("Tasks"), "work:task-list", "checklist", "task.write", order=30))
