from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate, pre_migrate


class LibConfig(AppConfig):
    name = "crm_site.lib"
    label = "lib"

    def ready(self) -> None:
        from crm_site.lib.postgres.grants import grant_to_application
        from crm_site.lib.postgres.moving import open_gates

        # Sent once per app with models, before the first migration: this one stands for all.
        pre_migrate.connect(grant_to_application, sender=apps.get_app_config("accounts"))
        # After the last migration; before the record's own triggers are made, whose app comes later.
        last = [config for config in apps.get_app_configs() if config.models_module is not None][-1]
        post_migrate.connect(open_gates, sender=last, dispatch_uid="lib-gates")
