"""The web server's way in."""

import os
import sys

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from crm_site.lib.postgres.roles import UnsafeRole, check_role

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm_site.settings")

application = get_wsgi_application()

_ = get_resolver().url_patterns  # the pages' code as well: loaded once, before the workers are forked

try:
    check_role()
except UnsafeRole as refusal:
    sys.exit(str(refusal))
