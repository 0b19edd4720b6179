"""Every sentence a person can read has its Chinese; and no Chinese is kept for a sentence that is gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
from django.utils.translation.template import templatize

from crm_site.lib.translations import ROOT, catalogues

APPS = ("crm_site", "customers", "credit_rating", "segmentation", "relationship")
# function -> positions of (context, singular, plural)
FUNCTIONS = {
    "_": (None, 0, None),
    "gettext": (None, 0, None),
    "gettext_lazy": (None, 0, None),
    "gettext_noop": (None, 0, None),
    "ngettext": (None, 0, 1),
    "ngettext_lazy": (None, 0, 1),
    "pgettext": (0, 1, None),
    "pgettext_lazy": (0, 1, None),
    "npgettext": (0, 1, 2),
    "npgettext_lazy": (0, 1, 2),
}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")

Message = tuple[str | None, str, str | None]


def _text(call: ast.Call, position: int | None) -> str | None:
    if position is None or position >= len(call.args):
        return None
    argument = call.args[position]
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def _messages(source: str, where: str) -> Iterator[tuple[Message, str]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name not in FUNCTIONS:
            continue
        context, singular, plural = (_text(node, position) for position in FUNCTIONS[name])
        if singular:
            yield (context, singular, plural), f"{where}:{node.lineno}"


# What templatize leaves of a template: calls like gettext(u'text'), and x's of the same length for the rest.
STRING = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
TEMPLATE_CALL = re.compile(rf"\b(?:n?p?gettext|_)\(\s*{STRING}(?:\s*,\s*(?:{STRING}|count))*\s*\)", re.DOTALL)


def _template_messages(path: Path) -> Iterator[tuple[Message, str]]:
    where = str(path.relative_to(ROOT))
    source = templatize(path.read_text(), origin=where)
    for match in TEMPLATE_CALL.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        yield from ((message, f"{where}:{line}") for message, _ in _messages(match[0], where))


def _sources() -> Iterator[tuple[Message, str]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield from _messages(path.read_text(), str(path.relative_to(ROOT)))
    for path in sorted((ROOT / "templates").rglob("*.html")):
        yield from _template_messages(path)


def _catalogue() -> dict[tuple[str | None, str], polib.POEntry]:
    return {
        (entry.msgctxt, entry.msgid): entry
        for path in catalogues()
        for entry in polib.pofile(str(path))
        if not entry.obsolete
    }


def _said(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def test_every_sentence_has_its_chinese() -> None:
    known = _catalogue()
    missing = {}
    for (context, singular, plural), where in _sources():
        entry = known.get((context, singular))
        if (
            entry is None
            or entry.fuzzy
            or not all(_said(entry))
            or (plural or "") != (entry.msgid_plural or "")
        ):
            missing.setdefault((context, singular, plural), where)
    listed = "\n".join(
        f"{where}  {message[1]!r}" for message, where in sorted(missing.items(), key=lambda m: m[1])
    )
    assert not missing, f"{len(missing)} without zh-Hans:\n{listed}"


def test_the_chinese_keeps_every_placeholder() -> None:
    wrong = []
    for entry in _catalogue().values():
        wanted = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        # A plural's singular may leave its number out ("one notification"); Chinese has the plural's form alone.
        wrong += [entry.msgid for said in _said(entry) if set(PLACEHOLDER.findall(said)) != wanted]
    assert not wrong, f"placeholders differ: {wrong}"


def test_one_sentence_has_one_chinese_wherever_it_stands() -> None:
    """The same English in two rooms must read the same: Django takes whichever room comes first."""
    said: dict[tuple[str | None, str], dict[str, str]] = {}
    for path in catalogues():
        for entry in polib.pofile(str(path)):
            said.setdefault((entry.msgctxt, entry.msgid), {})["/".join(_said(entry))] = str(
                path.relative_to(ROOT)
            )
    differing = {key[1]: places for key, places in said.items() if len(places) > 1}
    assert not differing


def test_extraction_finds_every_kind_of_sentence() -> None:
    source = '_("a"); ngettext("b", "bs", n); pgettext("c", "d"); t.gettext_lazy("e" "f")'
    assert [message for message, _ in _messages(source, "x")] == [
        (None, "a", None),
        (None, "b", "bs"),
        ("c", "d", None),
        (None, "ef", None),
    ]
    page = ROOT / "templates" / "base.html"
    found = {message for message, _ in _template_messages(page)}
    assert (None, "Skip to the content", None) in found
    assert (None, "%(n)s notification", "%(n)s notifications") in found
