from django.apps import AppConfig


class CompositionConfig(AppConfig):
    name = "crm_site.composition"
    label = "composition"

    def ready(self) -> None:
        from crm_site.pipeline import register

        register()
