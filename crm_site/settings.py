"""Settings. Everything that differs between installations comes from the environment (docs/operations.md)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("BANYAN_DATA", BASE_DIR / ".data")).resolve()
DEBUG = False
PORT = int(os.environ.get("PORT", "8000"))

# A throw-away key serves checks and lint; the launcher and docker-compose.yml always set a real one.
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-checks-" + "0" * 40)
MASTER_KEY = os.environ.get("BANYAN_MASTER_KEY", "b25seS1mb3ItY2hlY2tzLW9ubHktZm9yLWNoZWNrczE")
# Host names are checked against the banks in the database (accounts.middleware), on any name.
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "*").split(",")
IS_HTTPS = os.environ.get("BANYAN_HTTPS", "") == "1"
PRODUCTION = os.environ.get("BANYAN_PRODUCTION", "") == "1"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "crm_site.lib",
    "crm_site.accounts",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.idp.oidc",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "csp",
    "django_htmx",
    "crm_site.audit",
    "crm_site.jobs",
    "crm_site.work",
    "customers",
    "credit_rating",
    "segmentation",
    "relationship",
    "crm_site.composition",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "crm_site.lib.metrics.MetricsMiddleware",
    "crm_site.accounts.middleware.RequestLogMiddleware",
    "crm_site.accounts.middleware.BankMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "crm_site.accounts.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "crm_site.accounts.middleware.ActorMiddleware",
    "crm_site.accounts.sessions.SessionMiddleware",
    "crm_site.lib.form_addresses.FormAddressMiddleware",
]

ROOT_URLCONF = "crm_site.urls"
WSGI_APPLICATION = "crm_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "crm_site.lib.template_loader.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "crm_site.composition.context.shell",
            ],
            "builtins": ["django.templatetags.i18n", "crm_site.lib.templatetags.banyan"],
        },
    }
]


def _database(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or 5432),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
    }


_APPLICATION = _database(os.environ.get("DATABASE_URL", "postgresql://banyan_app@127.0.0.1:1/banyan"))
_OWNER = _database(os.environ["DATABASE_OWNER_URL"]) if "DATABASE_OWNER_URL" in os.environ else {}
# Only migrations and a bank's removal act as the owner of the tables.
AS_OWNER = bool(_OWNER) and len(sys.argv) > 1 and sys.argv[1] in {"migrate", "sqlmigrate", "remove_bank"}
APPLICATION_ROLE = _APPLICATION["USER"]
DATABASES = {
    "default": {
        "ENGINE": "crm_site.lib.postgres",
        **(_OWNER if AS_OWNER else _APPLICATION),
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": int(os.environ.get("CONN_MAX_AGE", "600")),
        "CONN_HEALTH_CHECKS": True,
        # Behind a transaction-mode pooler nothing may outlive the transaction.
        "DISABLE_SERVER_SIDE_CURSORS": os.environ.get("BANYAN_POOLER", "") == "1",
        "OPTIONS": {"application_name": "banyan", "prepare_threshold": None},
        "TEST": {"OWNER": {key: _OWNER[key] for key in ("USER", "PASSWORD") if key in _OWNER}},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

METRICS_TOKEN = os.environ.get("BANYAN_METRICS_TOKEN", "")
REDIS_URL = os.environ.get("REDIS_URL", "")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        # Banks have people of the same staff number: one's failed sign-ins must not lock the other out.
        "KEY_FUNCTION": "crm_site.lib.tenancy.cache_key",
    },
    # Parts of pages under a key of all that they are drawn from: never stale, and apart from the sign-in's counters,
    # which must not be thrown out for them. 12 kB each.
    "drawn": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "drawn",
        "KEY_FUNCTION": "crm_site.lib.tenancy.cache_key",
    },
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_NAME = "banyan"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "crm_site.composition.views.csrf_failure"
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "auth.W004",  # a staff number is unique within its bank, not on the installation
]

AUTH_USER_MODEL = "accounts.Staff"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
     "OPTIONS": {"user_attributes": ("number", "name", "email")}},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "crm_site.accounts.services.passwords.NotUsedBefore"},
]  # fmt: skip
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = "number"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "crm_site.accounts.adapters.AccountAdapter"
# Guards of each process against floods from one address; a login name is locked by accounts.services.lockout.
ACCOUNT_RATE_LIMITS = {"login": "600/m/ip", "login_failed": "120/m/ip"}
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_HTTPS
MFA_TOTP_ISSUER = "Banyan"
MFA_ADAPTER = "crm_site.accounts.second_factor.MFAAdapter"
MFA_FORMS = {
    "authenticate": "crm_site.accounts.second_factor.OnceAuthenticateForm",
    "reauthenticate": "crm_site.accounts.second_factor.OnceReauthenticateForm",
}
USERSESSIONS_TRACK_ACTIVITY = False  # accounts.sessions notes it once a minute
IDP_OIDC_ADAPTER = "crm_site.accounts.oidc.OIDCAdapter"
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = 1800

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["crm_site.accounts.clients.ClientAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["crm_site.accounts.clients.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["crm_site.lib.api.parsing.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "crm_site.lib.api.schema.BanyanSchema",
    "EXCEPTION_HANDLER": "crm_site.lib.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": "format",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Banyan",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "crm_site.lib.api.schema.close_requests",
        "customers.ingest.docs.add_rows",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "中文")]
LOCALE_PATHS = [
    BASE_DIR / "locale" / room
    for room in (
        "lib", "site", "accounts", "audit", "jobs", "work", "customers", "ingest", "credit_rating", "segmentation", "churn", "relationship",
    )
]  # fmt: skip
USE_I18N = USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static" if (DATA_DIR / "static").is_dir() else None  # only where nginx serves them
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = DATA_DIR / "files"  # uploads and exports: outside the web root, served through permission checks
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
        "worker-src": [SELF],
    }
}

LOG_LEVEL = os.environ.get("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "crm_site.lib.logs.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},  # not a line for each task
        "banyan": {"level": LOG_LEVEL},
    },
}

PRODUCT_NAME = _("Banyan")
