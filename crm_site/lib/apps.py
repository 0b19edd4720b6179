from django.apps import AppConfig, apps
from django.db.models.signals import pre_migrate


class LibConfig(AppConfig):
    name = "crm_site.lib"
    label = "lib"

    def ready(self) -> None:
        from crm_site.lib.postgres.grants import grant_to_application

        # Sent once per app with models, before the first migration: this one stands for all.
        pre_migrate.connect(grant_to_application, sender=apps.get_app_config("accounts"))
