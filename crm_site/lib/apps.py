from django.apps import AppConfig
from django.db.models.signals import pre_migrate


class LibConfig(AppConfig):
    name = "crm_site.lib"
    label = "lib"

    def ready(self) -> None:
        from crm_site.lib.postgres.grants import grant_to_application

        pre_migrate.connect(grant_to_application, sender=self)
