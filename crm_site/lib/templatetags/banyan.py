"""Tags and filters of every page (built in, nothing to load): numbers, dates, icons, small drawings.

Tags (`{% money … %}`, `{% day … %}`) know the bank's currency and working day from `bank` and
`today` in the context; filters are for places where a tag can't stand. The rules themselves are in
crm_site.lib.formats.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django import template
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.serializers.json import DjangoJSONEncoder
from django.forms import BoundField
from django.template import Context, Variable
from django.template.base import Node, Parser, TextNode, Token
from django.templatetags.i18n import do_translate
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import is_aware, localdate, localtime

from crm_site.lib import formats, svg
from crm_site.lib.permissions import may

register = template.Library()


@register.tag
def translate(parser: Parser, token: Token) -> Node:
    """Django's own tag. A fixed text becomes plain text at once, for lib.template_loader compiles a template for one
    language: a list says hundreds of them. Templates that no loader found may be shown in any language."""
    node = do_translate(parser, token)
    text = node.filter_expression.var.literal
    is_fixed = (
        len(token.split_contents()) == 2 and isinstance(text, str) and not node.filter_expression.filters
    )
    if not is_fixed or parser.origin is None or parser.origin.loader is None:
        return node
    return TextNode(str(node.render(Context())))


def _home_currency(context: Context) -> str:
    return getattr(context.get("bank"), "currency", None) or "CNY"


def _today(context: Context) -> date | None:
    """The day that people work on; the business date of the data lies before it."""
    return context.get("today") or context.get("business_date")


@register.simple_tag(takes_context=True)
def permitted(context: Context, action: str) -> bool:
    """Whether the reader may do an action somewhere: `{% permitted "credit.overview" as may_see %}`."""
    actor = context.get("actor")
    return actor is not None and may(actor, action)


@register.simple_tag(takes_context=True)
def money(context: Context, value: Decimal | None, currency: str = "") -> SafeString:
    """A short amount with its unit; the full amount on hover and on paper."""
    home = _home_currency(context)
    amount = formats.money(value, currency or home, home=home)
    if not amount.full:
        return format_html('<span class="money ink-3">{}</span>', amount.number)
    return format_html(
        '<span class="money nowrap" title="{0}"{1}>{2}{3}{4}</span>',
        amount.full,
        format_html(' data-full="{}"', amount.full) if str(amount) != amount.full else "",
        format_html('<span class="unit unit-before">{}</span>', amount.before) if amount.before else "",
        amount.number,
        format_html('<span class="unit">{}</span>', amount.after) if amount.after else "",
    )


@register.simple_tag(takes_context=True)
def money_text(context: Context, value: Decimal | None, currency: str = "") -> str:
    """The same as plain text, for use inside a sentence: `{% money_text v as amount %}{% blocktranslate %}…`."""
    home = _home_currency(context)
    return str(formats.money(value, currency or home, home=home))


@register.simple_tag(takes_context=True)
def money_full(context: Context, value: Decimal | None, currency: str = "") -> str:
    """Every digit, for forms, approvals and print."""
    home = _home_currency(context)
    return formats.money_full(value, currency or home, home=home)


@register.simple_tag(takes_context=True)
def scale_name(context: Context, scale: formats.Unit | None) -> str:
    """In what the bare amounts of a column or card are, by its scale: `{% scale_name scale %}` is 万元, CNY M or, of whole
    amounts, 元 and CNY. Nothing where there is no scale."""
    return formats.unit_name(scale, _home_currency(context)) if scale else ""


@register.simple_tag(takes_context=True)
def field_unit(context: Context, of: BoundField | str = "") -> str:
    """The unit inside a box: of an amount the given currency, the one its form asks for, else the bank's."""
    asked = of
    if isinstance(of, BoundField):
        if not getattr(of.field, "is_amount", False):
            return getattr(of.field, "unit", "")
        asked = of.form["currency"].value() if "currency" in of.form.fields else ""
    return formats.amount_unit(str(asked or _home_currency(context)))


@register.simple_tag
def column_unit(values: Sequence[Decimal | None]) -> formats.Unit:
    """The one unit of a column: `{% column_unit amounts as unit %}`, then `{{ value|money_in:unit }}`."""
    return formats.column_unit(values)


@register.simple_tag
def unit_of(rows: Iterable[Any], *paths: str) -> formats.Unit:
    """The one unit of the amounts at these paths of a table's rows: `{% unit_of rows "deposits" "loans" as unit %}`.

    For tables of single customers, whose amounts 万 or M would show as 0.0; branches and banks have `{% unit %}`.
    """
    found = [Variable(f"row.{path}") for path in paths]
    return formats.column_unit(one.resolve({"row": row}) for row in rows for one in found)


@register.simple_tag
def unit(name: str = "") -> formats.Unit:
    """A unit by name (wan, yi, k, m, b); without a name the reader's usual one for lists: 万 or M."""
    return formats.SCALES[name or ("wan" if formats.is_chinese() else "m")]


@register.filter
def money_in(value: Decimal | None, scale: formats.Unit) -> str:
    """The bare number of a column whose head names the unit."""
    return formats.money_in(value, scale)


@register.filter
def money_change_in(value: Decimal | None, scale: formats.Unit) -> str:
    """The bare change of a column whose head names the unit, with its sign."""
    return formats.money_change_in(value, scale)


@register.filter
def number(value: Decimal | int | None, decimals: int = 0) -> str:
    """12,345 or, with decimals, 12,345.6."""
    return formats.number(value, decimals)


@register.filter
def plain(value: Decimal) -> str:
    """A bare number with as many decimals as it has: 0.003625, 12."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@register.filter
def signed(value: Decimal | int | None, decimals: int = 0) -> str:
    """A change with its sign."""
    return formats.signed(value, decimals)


@register.filter
def percent(value: Decimal | float | None, decimals: int = 1) -> str:
    """A fraction as percent."""
    return formats.percent(value, decimals)


@register.filter
def chance(value: Decimal | float | None) -> str:
    """A probability as whole per cent; never 0%."""
    return formats.chance(value)


@register.filter
def percent_signed(value: Decimal | float | None, decimals: int = 1) -> str:
    """A relative change with its sign."""
    return formats.percent_signed(value, decimals)


@register.filter
def delta(value: Decimal | float | None, against: str = "") -> str:
    """A relative change with an arrow, and what it is compared with in the order of the language."""
    return formats.delta(value, str(against))  # a template hands a translation over unread


@register.filter
def masked(value: str | None, ends: str = "3,4") -> str:
    """A value with its middle hidden; `ends` says how many characters stay at the head and the tail."""
    head, tail = ends.split(",")
    return formats.masked(value, int(head), int(tail))


@register.filter
def phone(value: str) -> str:
    """A telephone number without the country of the bank."""
    return formats.phone(value)


@register.filter
def initials(name: str) -> str:
    """What stands in a person's circle."""
    return formats.initials(name)


@register.filter
def month(value: date | None) -> str:
    """2026-11 · Nov 2026."""
    return formats.month(value)


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds in words."""
    return formats.duration(seconds)


@register.filter
def file_size(size: int | None) -> str:
    """Bytes as KB or MB."""
    return formats.file_size(size)


@register.simple_tag(takes_context=True)
def day(context: Context, value: date | None) -> str:
    """11-27 this (business) year, 2026-11-27 otherwise; 27 Nov in English."""
    if isinstance(value, datetime) and is_aware(value):
        value = localtime(value)
    return formats.day(value, _today(context))


@register.filter(expects_localtime=True)
def day_full(value: date | None) -> str:
    """2026-11-27 · 27 Nov 2026: a date with its year, as in sentences and on forms."""
    return formats.day(value)


@register.simple_tag(takes_context=True)
def weekday(context: Context, value: date | None) -> str:
    """11-24 周二 · Tue 24 Nov."""
    return formats.day_with_weekday(value, _today(context))


@register.simple_tag
def day_long(value: date | None) -> str:
    """For a page's head: 11 月 20 日 星期五 · Friday 20 Nov 2026."""
    return formats.day_long(value)


@register.simple_tag(takes_context=True)
def moment(context: Context, value: datetime | None) -> str:
    """Date and time in the bank's time zone (the active one)."""
    if value is not None and is_aware(value):
        value = localtime(value)
    return formats.moment(value, _today(context))


@register.filter(expects_localtime=True)
def moment_full(value: datetime | None) -> str:
    """2026-11-27 09:30 · 27 Nov 2026 09:30: a date with its year and the time, as on forms."""
    return formats.moment(value)


@register.simple_tag(takes_context=True)
def deadline(context: Context, due: date | None) -> str:
    """today, tomorrow, in 7 days, 3 days overdue."""
    return formats.deadline(due, _today(context) or localdate())


@register.simple_tag(takes_context=True)
def deadline_full(context: Context, due: date | None) -> str:
    """The date and its distance."""
    return formats.deadline_full(due, _today(context) or localdate())


@register.simple_tag
def password_rules() -> list[str]:
    """What a new password must be, one sentence a rule, from the settings' validators."""
    return password_validators_help_texts()


@register.simple_tag
@lru_cache(maxsize=1_000)  # the same few dozen on every page
def icon(name: str, label: str = "") -> SafeString:
    """A Tabler icon; silent for a screen reader unless it is given a label."""
    if label:
        return format_html('<i class="ti ti-{}" role="img" aria-label="{}"></i>', name, label)
    return format_html('<i class="ti ti-{}" aria-hidden="true"></i>', name)


@register.simple_tag
def sparkline(
    values: Sequence[Decimal | None],
    width: int = 84,
    height: int = 22,
    area: bool = False,
    tone: str = "",
    label: str = "",
) -> SafeString:
    """A line over the months with a dot at its end. `tone`: "watch" when a policy calls the trend bad."""
    points = svg.sparkline_points(values, width, height, from_zero=False)
    if not points:
        return format_html('<span class="ink-3">{}</span>', formats.UNKNOWN)
    line = " ".join(f"{x},{y}" for x, y in points)
    last_x, last_y = points[-1]
    # Numbers and our own words: nothing of it needs escaping, and a list has fifty of these.
    filled = (
        f'<polygon class="spark-area" points="{points[0][0]},{height} {line} {last_x},{height}"/>'
        if area
        else ""
    )
    size = SafeString(f'width="{width:d}" height="{height:d}" viewBox="0 0 {width:d} {height:d}"')
    drawing = SafeString(
        f'{filled}<polyline class="spark-line" points="{line}"/>'
        f'<circle class="spark-dot" cx="{last_x}" cy="{last_y}" r="2"/>'
    )
    return format_html(
        '<svg class="spark{}" {} {}>{}</svg>',
        f" is-{tone}" if tone else "",
        size,
        _image_role(label),
        drawing,
    )


@register.simple_tag
def bar(
    value: Decimal | None,
    whole: Decimal | None = Decimal(1),
    mark: Decimal | None = None,
    tone: str = "",
    size: str = "",
    label: str = "",
) -> SafeString:
    """How much of the whole is used; with a `mark` (cap, target) the axis runs to 120 % of the mark.

    `tone`: "", "watch", "risk", "quiet"; `size`: "", "short", "wide", "tall" (several with a space).
    """
    classes, fill = (
        "".join(f" bar-{part}" for part in size.split()),
        f"bar-fill is-{tone}" if tone else "bar-fill",
    )
    # Numbers and our own words, as in a sparkline.
    if mark is None:
        return SafeString(
            f'<svg class="bar{classes}" viewBox="0 0 100 6" preserveAspectRatio="none" {_image_role(label)}>'
            f'<rect class="{fill}" width="{svg.share(value, whole)}" height="6"/></svg>'
        )
    axis = float(whole) if whole and mark < whole else float(mark) * 1.2
    at = svg.share(mark, axis)
    return SafeString(
        f'<svg class="bar bar-marked{classes}" viewBox="0 0 100 14" preserveAspectRatio="none" {_image_role(label)}>'
        '<rect class="bar-track" y="3" width="100" height="8"/>'
        f'<rect class="{fill}" y="3" width="{svg.share(value, axis)}" height="8"/>'
        f'<rect class="bar-mark" x="{round(at - 0.8, 2)}" width="1.6" height="14"/></svg>'
    )


@register.simple_tag
def segments(
    parts: Sequence[tuple[str, Decimal | int]], size: str = "wide tall", label: str = ""
) -> SafeString:
    """A whole cut into parts: [("high", 24), ("mid", 71), ("general", 91)]; fills are .fill-<name>."""
    whole = sum(amount for _, amount in parts)
    placed, start = [], 0.0
    for name, amount in parts:
        wide = svg.share(amount, whole)
        placed.append((name, round(start, 2), max(0.0, round(wide - 0.4, 2))))
        start += wide
    return format_html(
        '<svg class="bar{}" viewBox="0 0 100 10" preserveAspectRatio="none" {}>{}</svg>',
        "".join(f" bar-{part}" for part in size.split()),
        _image_role(label),
        format_html_join("", '<rect class="fill-{}" x="{}" width="{}" height="10"/>', placed),
    )


@register.filter
def as_json(value: object) -> str:
    """A value as JSON for a data- attribute; the template escapes it there."""
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))


@register.filter
def move_class(cell: Mapping[str, Any]) -> str:
    """The ground of one cell of a migration matrix: {"from": rank, "to": rank, "count": n, "largest": n}.

    Ranks grow upwards; the four strengths are quarters of the largest move on the page.
    """
    count, largest = cell["count"], cell["largest"]
    if cell["from"] == cell["to"]:
        return "move-stay"
    if not count:
        return "move-none"
    strength = min(4, 1 + int(4 * (count - 1) / largest)) if largest else 1
    return f"move-{'up' if cell['to'] > cell['from'] else 'down'}-{strength}"


_SILENT = SafeString('aria-hidden="true"')


def _image_role(label: str) -> SafeString:
    return format_html('role="img" aria-label="{}"', label) if label else _SILENT
