from django.apps import AppConfig


class CreditRatingConfig(AppConfig):
    name = "credit_rating"
