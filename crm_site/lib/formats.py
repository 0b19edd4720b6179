"""How numbers, dates and deadlines read in Chinese and in English. Pure text in, text out; no HTML.

One place for the rules that every page, printed form and message follows: one unit in a column, commas by
thousands, a true minus, percent with one decimal, half-up rounding at the very end; 0 is shown as 0.0,
an unknown figure as –, a figure that does not apply as nothing (the template leaves it out).

`language` is a Django language code. It is optional everywhere: left out, the active translation decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from django.utils.translation import get_language

from crm_site.lib.money import DECIMALS

UNKNOWN = "–"
MINUS = "−"
DOT = "•"

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAYS_ZH = "一二三四五六日"


@dataclass(frozen=True)
class Unit:
    """A scale in which amounts are shown: `label` after the number, `divisor`, and decimals to keep."""

    label: str
    divisor: Decimal
    decimals: int


@dataclass(frozen=True)
class Amount:
    """An amount ready for a page: `before` 33.4 `after`, and `full`, every digit of it with its currency."""

    before: str
    number: str
    after: str
    full: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.before, self.number, self.after) if part)


WAN = Unit("万", Decimal(10_000), 1)
YI = Unit("亿", Decimal(100_000_000), 2)
THOUSAND = Unit("K", Decimal(1_000), 1)
MILLION = Unit("M", Decimal(1_000_000), 1)
BILLION = Unit("B", Decimal(1_000_000_000), 2)
SCALES = {"wan": WAN, "yi": YI, "k": THOUSAND, "m": MILLION, "b": BILLION}


def is_chinese(language: str | None = None) -> bool:
    """Whether the reader's language is Chinese."""
    return (language or get_language() or "en").lower().startswith("zh")


def number(value: Decimal | int | None, decimals: int = 0) -> str:
    """1234.5 with one decimal: 1,234.5. Never shows a minus zero."""
    if value is None:
        return UNKNOWN
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    text = f"{abs(rounded):,f}"
    return f"{MINUS}{text}" if rounded < 0 else text


def signed(value: Decimal | int | None, decimals: int = 1) -> str:
    """A change with its sign: +14.6, −6.9, 0.0."""
    text = number(value, decimals)
    return f"+{text}" if value is not None and _rounded(Decimal(value), decimals) > 0 else text


def money_full(
    value: Decimal | None, currency: str, *, home: str | None = None, language: str | None = None
) -> str:
    """Every digit, for forms, approvals, exports and print: 8,650.00 元 · CNY 8,650.00."""
    if value is None:
        return UNKNOWN
    text = number(value, DECIMALS.get(currency, 2))
    if not is_chinese(language):
        return f"{currency} {text}"
    if currency == "CNY":
        return f"{text} 元"
    return text if currency == (home or currency) else f"{currency} {text}"


def money_unit(largest: Decimal | int | None, *, language: str | None = None) -> Unit:
    """The unit that suits an amount of this size; for a column, ask with its largest amount.

    Decided by what the smaller unit would show: 99,999,950 reads 1.00 亿, not 10,000.0 万.
    """
    size = abs(Decimal(largest or 0))
    if is_chinese(language):
        ladder: tuple[Unit, ...] = (WAN, YI)
    else:
        ladder = (THOUSAND, MILLION, BILLION)
    chosen, threshold = Unit("", Decimal(1), 2), Decimal(10_000)
    for larger in ladder:
        threshold = threshold if not chosen.label else larger.divisor
        if _rounded(size / chosen.divisor, chosen.decimals) * chosen.divisor < threshold:
            break
        chosen = larger
    return chosen


def column_unit(values: Iterable[Decimal | None], *, language: str | None = None) -> Unit:
    """One unit for a whole column: by its largest amount, but never above 万 or M (a branch's table)."""
    largest = max((abs(value) for value in values if value is not None), default=Decimal(0))
    unit = money_unit(largest, language=language)
    return {YI: WAN, BILLION: MILLION}.get(unit, unit)


def unit_name(unit: Unit, currency: str) -> str:
    """A card's unit: 万元 · CNY M."""
    if is_chinese():
        return f"{unit.label}元" if currency == "CNY" else f"{unit.label} {currency}".strip()
    return f"{currency} {unit.label}".strip()


def amount_unit(currency: str) -> str:
    """What stands inside the box of an amount that is typed in full: 元 · CNY."""
    return "元" if is_chinese() and currency == "CNY" else currency


def money_in(value: Decimal | None, unit: Unit) -> str:
    """The bare number in a given unit, for a column whose head names the unit.

    Zero alone reads 0.0: what is less than the column can show reads <0.1, so that 300 yuan overdue are not nothing.
    """
    if value is None:
        return UNKNOWN
    shown = value / unit.divisor
    if value and not _rounded(shown, unit.decimals):
        least = number(Decimal(1).scaleb(-unit.decimals), unit.decimals)
        return f"<{least}" if value > 0 else f">{MINUS}{least}"
    return number(shown, unit.decimals)


def money_change_in(value: Decimal | None, unit: Unit) -> str:
    """A change of an amount in a given unit, with its sign: +14.6, −6.9, 0.0."""
    text = money_in(value, unit)
    return f"+{text}" if value is not None and value > 0 and not text.startswith("<") else text


def money(
    value: Decimal | None, currency: str, *, home: str | None = None, language: str | None = None
) -> Amount:
    """An amount for lists and cards, short, with its full text beside it.

    `home` is the bank's own currency: in Chinese only another currency is named. In English the currency's
    code always stands before the number.
    """
    if value is None:
        return Amount("", UNKNOWN, "", "")
    chinese = is_chinese(language)
    unit = money_unit(value, language=language)
    decimals = unit.decimals if unit.label else DECIMALS.get(currency, 2)
    foreign = currency != (home or currency)
    after = unit.label or ("元" if chinese and currency == "CNY" else "")
    return Amount(
        before=currency if foreign or not chinese else "",
        number=number(value / unit.divisor, decimals),
        after=after,
        full=money_full(value, currency, home=home, language=language),
    )


def percent(fraction: Decimal | float | None, decimals: int = 1) -> str:
    """A rate (a fraction) as percent: 0.758 is 75.8%."""
    if fraction is None:
        return UNKNOWN
    return f"{number(Decimal(str(fraction)) * 100, decimals)}%"


def chance(fraction: Decimal | float | None) -> str:
    """A probability as whole per cent. A model never says never: below half a per cent it reads <1%."""
    if fraction is not None and 0 <= fraction < Decimal("0.005"):
        return "<1%"
    return percent(fraction, 0)


def percent_signed(fraction: Decimal | float | None, decimals: int = 1) -> str:
    """A relative change in a column: +1.8%, −4.2%, 0.0%."""
    if fraction is None:
        return UNKNOWN
    return f"{signed(Decimal(str(fraction)) * 100, decimals)}%"


def delta(fraction: Decimal | float | None, against: str = "", *, language: str | None = None) -> str:
    """A relative change in words: ▲ 1.8%, ▼ 4.2%, unchanged. Direction is an arrow, never a colour.

    `against` says what is compared with, in the reader's language: 较 10-31 ▲ 1.8% · ▲ 1.8% since 31 Oct.
    """
    if fraction is None:
        return UNKNOWN
    points = _rounded(Decimal(str(fraction)) * 100, 1)
    if points:
        text = f"{'▲' if points > 0 else '▼'} {number(abs(points), 1)}%"
    else:
        text = "持平" if is_chinese(language) else "unchanged"
    return " ".join(part for part in ((against, text) if is_chinese(language) else (text, against)) if part)


def day(value: date | None, today: date | None = None, *, language: str | None = None) -> str:
    """A date: 11-27 in the year of `today` (the bank's business date), else 2026-11-27. English: 27 Nov."""
    if value is None:
        return UNKNOWN
    this_year = today is not None and value.year == today.year
    if is_chinese(language):
        return f"{value:%m-%d}" if this_year else f"{value:%Y-%m-%d}"
    short = f"{value.day} {MONTHS[value.month - 1]}"
    return short if this_year else f"{short} {value.year}"


def day_with_weekday(value: date | None, today: date | None = None, *, language: str | None = None) -> str:
    """11-24 周二 · Tue 24 Nov."""
    if value is None:
        return UNKNOWN
    text = day(value, today, language=language)
    if is_chinese(language):
        return f"{text} 周{WEEKDAYS_ZH[value.weekday()]}"
    return f"{WEEKDAYS_EN[value.weekday()][:3]} {text}"


def day_long(value: date | None, *, language: str | None = None) -> str:
    """For a page's head: 11 月 20 日 星期五 · Friday 20 Nov 2026."""
    if value is None:
        return UNKNOWN
    if is_chinese(language):
        return f"{value.month} 月 {value.day} 日 星期{WEEKDAYS_ZH[value.weekday()]}"
    return f"{WEEKDAYS_EN[value.weekday()]} {day(value, language=language)}"


def month(value: date | None, *, language: str | None = None) -> str:
    """A month-end in a column or an axis: 2026-11 · Nov 2026."""
    if value is None:
        return UNKNOWN
    return f"{value:%Y-%m}" if is_chinese(language) else f"{MONTHS[value.month - 1]} {value.year}"


def moment(value: datetime | None, today: date | None = None, *, language: str | None = None) -> str:
    """A time in the time zone it already carries: 11-19 22:40 · 19 Nov 22:40."""
    if value is None:
        return UNKNOWN
    return f"{day(value.date(), today, language=language)} {value:%H:%M}"


def deadline(due: date | None, today: date, *, language: str | None = None) -> str:
    """How far a deadline is: today, tomorrow, in 7 days, 3 days overdue."""
    if due is None:
        return UNKNOWN
    days = (due - today).days
    if is_chinese(language):
        near = {0: "今天", 1: "明天"}
        return near.get(days) or (f"还有 {days} 天" if days > 0 else f"逾期 {-days} 天")
    near = {0: "today", 1: "tomorrow"}
    if days in near:
        return near[days]
    return f"in {days} days" if days > 0 else f"{-days} day{'s' if days < -1 else ''} overdue"


def deadline_full(due: date | None, today: date, *, language: str | None = None) -> str:
    """The date and its distance: 11-27，还有 7 天 · 27 Nov, in 7 days."""
    if due is None:
        return UNKNOWN
    comma = "，" if is_chinese(language) else ", "
    return f"{day(due, today, language=language)}{comma}{deadline(due, today, language=language)}"


def masked(text: str | None, head: int = 3, tail: int = 4) -> str:
    """A protected value with its middle hidden: 138••••6021. Too short to keep both ends: all hidden."""
    if not text:
        return ""
    if len(text) <= head + tail:
        return DOT * len(text)
    return f"{text[:head]}{DOT * (len(text) - head - tail)}{text[len(text) - tail :]}"


def phone(text: str) -> str:
    """A telephone number, masked or in full, as people here write it: 183••••1878, without the country of the bank."""
    return text.removeprefix("+86")


def initials(name: str) -> str:
    """What stands in a person's circle: 陆 for 陆思远, GW for Gu Wenqing."""
    words = name.split()
    if not words:
        return ""
    if not words[0][0].isascii():
        return words[0][0]
    return "".join(word[0] for word in (words[0], *words[1:][-1:])).upper()


def duration(seconds: float | None, *, language: str | None = None) -> str:
    """How long a job took: 1.9 s, 4 min 12 s, 2 h 05 min (Chinese: 秒, 分, 小时)."""
    if seconds is None:
        return UNKNOWN
    second, minute, hour = ("秒", "分", "小时") if is_chinese(language) else ("s", "min", "h")
    if seconds < 60:
        return f"{number(Decimal(str(seconds)), 1)} {second}"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} {minute} {whole % 60} {second}"
    return f"{whole // 3600} {hour} {whole % 3600 // 60:02d} {minute}"


def file_size(size: int | None) -> str:
    """Bytes as KB or MB with one decimal."""
    if size is None:
        return UNKNOWN
    if size < 1024:
        return f"{size} B"
    if size < 1024 * 1024:
        return f"{number(Decimal(size) / 1024, 1)} KB"
    return f"{number(Decimal(size) / 1024 / 1024, 1)} MB"


def _rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
