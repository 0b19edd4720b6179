"""Settings of the bare server that pages are compared with. Never used in production."""

from crm_site import settings

globals().update({name: getattr(settings, name) for name in dir(settings) if name.isupper()})
ROOT_URLCONF = "tests.bench.bare"
MIDDLEWARE = ["allauth.account.middleware.AccountMiddleware"]  # the library insists; it does nothing here
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": False,
        "OPTIONS": {},
    }
]
