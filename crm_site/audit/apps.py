from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from crm_site.lib.permissions import Role
from crm_site.lib.registry import NavItem, add_home, add_nav


class AuditConfig(AppConfig):
    name = "crm_site.audit"
    label = "audit"
    verbose_name = _("Audit")

    def ready(self) -> None:
        from crm_site.audit.resuming import resume_counting
        from crm_site.audit.signins import listen
        from crm_site.audit.triggers import install_triggers
        from crm_site.audit.watches import register

        listen()
        register()

        # Sent once per app with models: the last one in settings, so that every table is there.
        last = [config for config in apps.get_app_configs() if config.models_module is not None][-1]
        post_migrate.connect(install_triggers, sender=last, dispatch_uid="audit-triggers")
        post_migrate.connect(resume_counting, sender=last, dispatch_uid="audit-resume")
        add_home(Role.AUDITOR, "audit:auditor-home", 10)
        add_nav(
            NavItem(
                name="audit", title=_("Audit"), url_name="audit:entry-list", icon="shield-check",
                permission="audit.read", order=80,
            )
        )  # fmt: skip
