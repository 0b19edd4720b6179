from django.apps import AppConfig


class CompositionConfig(AppConfig):
    name = "crm_site.composition"
    label = "composition"
