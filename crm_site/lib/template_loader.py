"""Templates compiled once for each language."""

from __future__ import annotations

from django.template import Origin
from django.template.loaders import cached
from django.utils.translation import get_language


class Loader(cached.Loader):
    """Django's cache of compiled templates, with one of each for each language: `{% translate %}` of a fixed text is
    looked up while the template is compiled (templatetags.banyan.translate) and costs a page nothing."""

    def cache_key(self, template_name: str, skip: list[Origin] | None = None) -> str:
        return f"{get_language()}:{super().cache_key(template_name, skip)}"
