from django.apps import AppConfig


class CompositionConfig(AppConfig):
    name = "crm_site.composition"
    label = "composition"

    def ready(self) -> None:
        from crm_site.lib.registry import SUBJECTS
        from crm_site.pipeline import register
        from customers.subjects import subjects

        register()
        SUBJECTS.add("customers", subjects)
