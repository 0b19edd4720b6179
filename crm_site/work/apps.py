from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "crm_site.work"
    label = "work"
