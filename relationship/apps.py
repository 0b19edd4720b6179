from django.apps import AppConfig


class RelationshipConfig(AppConfig):
    name = "relationship"
