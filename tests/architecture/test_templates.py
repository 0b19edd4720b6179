"""Every template compiles, and none of them brings in what the content policy forbids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

from crm_site.lib.translations import ROOT

FOLDER = ROOT / "templates"
TEMPLATES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.html"))
FORBIDDEN = {
    "an inline style": re.compile(r"<style|\sstyle\s*="),
    "an inline script": re.compile(r"<script(?![^>]*\ssrc=)(?![^>]*application/json)", re.IGNORECASE),
    "an event handler": re.compile(r"""\s(on[a-z]+|hx-on[:\w-]*)\s*=\s*["']"""),
    "evaluated code": re.compile(
        r"""(javascript:|hx-(vals|headers|vars)\s*=\s*["']js:|hx-trigger\s*=\s*["'][^"']*\[)"""
    ),
    "another host": re.compile(r"""(src|href|action)\s*=\s*["'](https?:)?//"""),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_template_compiles(path: Path) -> None:
    get_template(str(path))


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_template_keeps_to_the_content_policy(path: Path) -> None:
    text = (FOLDER / path).read_text()
    found = {what: match[0] for what, pattern in FORBIDDEN.items() if (match := pattern.search(text))}
    assert not found


_STACKED = re.compile(r'<table class="table table-stack">(.*?)</table>', re.DOTALL)
_CELL = re.compile(r"<td([^>]*)>(</td>)?")


@pytest.mark.parametrize("path", [p for p in TEMPLATES if "table-stack" in (FOLDER / p).read_text()], ids=str)
def test_a_table_that_stacks_on_a_phone_says_what_each_figure_is(path: Path) -> None:
    """There its head is gone: a cell names its column, or is one that needs no name (the row's own, a whole line of its
    own). Cells with a computed name stand for several columns."""
    for table in _STACKED.findall((FOLDER / path).read_text()):
        head, body = table.split("</thead>")
        columns = set(re.findall(r'<th[^>]*>\{% translate "([^"]+)"(?: context "[^"]+")? %\}', head))
        cells = _CELL.findall(body)
        is_computed = any('data-label="{{' in attributes for attributes, _empty in cells)
        is_part = not cells and "{% include" in body  # its rows are another template's
        assert is_computed or is_part or len(re.findall(r"<t[dh]\b", body)) >= len(columns)
        for attributes, empty in cells:
            label = re.search(r"data-label=\"\{% translate '([^']+)'(?: context '[^']+')? %\}\"", attributes)
            computed = re.search(r'data-label="\{\{ ([\w.]+) \}\}', attributes)
            term = re.search(r'data-label="(\w[\w.-]*)"', attributes)  # the same in every language: AUC
            is_whole = re.search(r"\b((wide|name)-cell|desk-only)\b", attributes)  # or not on a phone at all
            assert label or computed or term or empty or is_whole, attributes
            assert term is None or f">{term[1]}</th>" in head
            assert label is None or label[1] in columns
