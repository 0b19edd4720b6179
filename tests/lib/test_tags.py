"""What the tags of crm_site.lib.templatetags.banyan put into a page."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.template.loader import render_to_string
from django.utils import translation

from crm_site.lib.money import AmountField, PercentField
from crm_site.lib.templatetags.banyan import move_class


def rendered(source: str, language: str = "en", **context: Any) -> str:
    shell = {"bank": SimpleNamespace(currency="CNY"), "business_date": dt.date(2026, 11, 20)}
    with translation.override(language):
        return Template(source).render(Context(shell | context))


def test_a_table_of_customers_has_the_unit_of_its_largest_amount() -> None:
    rows = [
        {"held": Decimal(23800), "row": {"owed": Decimal("433552.80")}},
        {"held": None, "row": {"owed": None}},
    ]
    source = '{% unit_of rows "held" "row.owed" as scale %}{{ scale.label }} {{ rows.0.held|money_in:scale }}'
    assert rendered(source, rows=rows) == "K 23.8"
    assert rendered(source, "zh-hans", rows=rows) == "万 2.4"
    assert rendered(source, rows=[{"held": Decimal(792), "row": {"owed": None}}]).strip() == "792.00"


def test_money_shows_the_full_amount_on_hover_and_on_paper() -> None:
    html = rendered("{% money v %}", "zh-hans", v=Decimal(33421000))
    assert 'title="33,421,000.00 元"' in html
    assert 'data-full="33,421,000.00 元"' in html
    assert '3,342.1<span class="unit">万</span>' in html
    # What is short already is not repeated on paper.
    assert "data-full" not in rendered("{% money v %}", "zh-hans", v=Decimal(12))
    assert "–" in rendered("{% money v %}", v=None)


def test_dates_are_measured_from_the_business_date() -> None:
    assert rendered("{% deadline d %}", d=dt.date(2026, 11, 27)) == "in 7 days"
    assert rendered("{% day d %}", "zh-hans", d=dt.date(2026, 1, 2)) == "01-02"


def test_what_a_user_wrote_is_escaped() -> None:
    html = rendered(
        "{% icon 'x' label %}{% sparkline values label=label %}", label='"><script>', values=[1, 2]
    )
    assert "<script>" not in html


def test_a_sparkline_skips_unknown_months() -> None:
    html = rendered("{% sparkline values 84 22 %}", values=[Decimal(1), None, Decimal(3)])
    assert 'points="3.0,19.0 81.0,3.0"' in html
    assert rendered("{% sparkline values %}", values=[None]) == '<span class="ink-3">–</span>'


def test_a_flat_sparkline_runs_through_the_middle() -> None:
    assert 'points="3.0,11.0 81.0,11.0"' in rendered("{% sparkline values 84 22 %}", values=[5, 5])


@pytest.mark.parametrize(("value", "width"), [(Decimal("0.5"), "50.0"), (Decimal(3), "100.0"), (None, "0.0")])
def test_a_bar_stays_inside_its_track(value: Decimal | None, width: str) -> None:
    assert f'width="{width}"' in rendered("{% bar v %}", v=value)


def test_a_bar_with_a_cap_leaves_room_beyond_it() -> None:
    html = rendered("{% bar 95 None mark=100 %}")
    assert 'width="79.17"' in html
    assert 'x="82.53"' in html


def test_parts_of_a_whole_fill_it() -> None:
    html = rendered("{% segments parts %}", parts=[("high", 1), ("general", 3)])
    assert 'class="fill-high" x="0.0" width="24.6"' in html
    assert 'class="fill-general" x="25.0" width="74.6"' in html


@pytest.mark.parametrize(
    ("start", "end", "count", "expected"),
    [
        (2, 2, 138, "move-stay"),
        (2, 1, 0, "move-none"),
        (1, 2, 1, "move-up-1"),
        (1, 2, 27, "move-up-4"),
        (2, 0, 17, "move-down-3"),
    ],
)
def test_a_move_is_as_strong_as_its_share_of_the_largest(
    start: int, end: int, count: int, expected: str
) -> None:
    assert move_class({"from": start, "to": end, "count": count, "largest": 27}) == expected


def test_the_box_of_an_amount_names_its_unit() -> None:
    class Asked(forms.Form):
        limit = AmountField(label="Limit")
        rate = PercentField(label="Rate")
        months = forms.IntegerField(label="Months")

    class Foreign(forms.Form):
        limit = AmountField(label="Limit")
        currency = forms.CharField()

    def box(field: Any, language: str = "zh-hans") -> str:
        return rendered('{% include "_shared/field.html" %}', language, field=field)

    form = Asked({"limit": "1，500,000.00 ", "rate": "4.35", "months": "12"})
    assert form.is_valid()
    assert form.cleaned_data["limit"] == 1_500_000  # as it stands in a spreadsheet
    form = Asked()
    assert 'type="number"' not in box(form["limit"])  # a mouse wheel changes no amount
    assert '<span class="field-unit">元</span>' in box(form["limit"])
    assert '<span class="field-unit">CNY</span>' in box(form["limit"], "en")
    assert '<span class="field-unit">%</span>' in box(form["rate"])
    assert "data-amount" not in box(form["rate"])
    assert "field-unit" not in box(form["months"])
    assert '<span class="field-unit">USD</span>' in box(Foreign(initial={"currency": "USD"})["limit"])


def test_a_fixed_text_is_in_the_readers_language_whoever_asked_first() -> None:
    said = []
    for language in ("en", "zh-hans", "en"):
        with translation.override(language):
            said.append(render_to_string("_shared/pager.html"))
    assert 'aria-label="Pages"' in said[0] == said[2] != said[1]
    with translation.override("en"):
        found = Template('{% translate "Pages" %}')  # of no loader: shown in any language
    with translation.override("zh-hans"):
        assert found.render(Context()) in said[1]
