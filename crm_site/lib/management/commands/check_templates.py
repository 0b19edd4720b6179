"""Compile every template of ours: a misspelt tag, filter or file name fails here, not on somebody's page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.base import NodeList
from django.template.engine import Engine
from django.template.loader_tags import ExtendsNode, IncludeNode


class Command(BaseCommand):
    help = "Compile all templates of the project; exit 1 with the list of those that do not."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        engine = Engine.get_default()
        wrong, seen = [], 0
        for folder in (
            Path(folder) for folder in engine.dirs if Path(folder).is_relative_to(settings.BASE_DIR)
        ):
            for file in sorted(folder.rglob("*.html")):
                seen += 1
                try:
                    nodes = engine.get_template(str(file.relative_to(folder))).nodelist
                    for name in _named(nodes):
                        engine.get_template(name)
                except (TemplateSyntaxError, TemplateDoesNotExist) as error:
                    wrong.append(f"{file.relative_to(settings.BASE_DIR)}: {error}")
        if wrong:
            raise CommandError("\n".join(wrong))
        self.stdout.write(f"{seen} templates compile")


def _named(nodes: NodeList) -> Iterator[str]:
    """Templates that are extended or included by a literal name."""
    expressions: list[Any] = [vars(node)["parent_name"] for node in nodes.get_nodes_by_type(ExtendsNode)]
    expressions += [vars(node)["template"] for node in nodes.get_nodes_by_type(IncludeNode)]
    for expression in expressions:
        if isinstance(expression.var, str):
            yield expression.var
