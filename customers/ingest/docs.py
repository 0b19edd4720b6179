"""What the feeds' declarations say, for the API's schema and docs/feeds.md."""

from __future__ import annotations

from typing import Any

from customers.ingest.columns import Column
from customers.ingest.feeds import FEEDS, Feed
from customers.ingest.row_errors import ROW_ERRORS

_JSON_TYPES = {"integer": "integer", "boolean": "boolean"}
_FORMATS = {"date": "date", "datetime": "date-time", "email": "email"}


def column_schema(column: Column) -> dict[str, Any]:
    """JSON schema of one cell. Numbers with decimals are strings; every cell may be given as text."""
    schema: dict[str, Any] = {
        "type": [_JSON_TYPES.get(column.type, "string"), *([] if column.required else ["null"])],
        "description": "; ".join(part for part in (column.description, column.check) if part),
    }
    if column.type == "choices":
        schema["pattern"] = "^({0})?(;({0}))*$".format("|".join(column.choices))
    elif column.choices:
        schema["enum"] = [*column.choices, *([] if column.required else ["", None])]
    if column.type in _FORMATS:
        schema["format"] = _FORMATS[column.type]
    if column.most:
        schema["maxLength"] = column.most
    if column.required and not column.choices:
        schema["minLength"] = 1
    if column.example:
        schema["example"] = column.example
    return schema


def row_name(feed: Feed) -> str:
    """standing-orders -> StandingOrdersRow: what a row of the feed is called in the API's schema."""
    return "".join(part.capitalize() for part in feed.name.split("-")) + "Row"


def row_schema(feed: Feed) -> dict[str, Any]:
    """JSON schema of one row of a feed."""
    return {
        "title": row_name(feed),
        "description": feed.description,
        "type": "object",
        "additionalProperties": False,
        "required": list(feed.required),
        "properties": {column.name: column_schema(column) for column in feed.columns},
    }


def add_rows(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Post-processing of the API's schema: every feed's row by name, so that a generated client has its type."""
    rows = {row_name(feed): row_schema(feed) for feed in FEEDS}
    result.setdefault("components", {}).setdefault("schemas", {}).update(rows)
    return result


def cell_of(column: Column, value: Any) -> str:
    """A JSON value as the feed's cell, by the column's schema; raises ValueError with what it should be."""
    wanted = _JSON_TYPES.get(column.type, "string")
    if value is None:
        return ""
    if wanted == "boolean" and isinstance(value, bool):
        return "true" if value else "false"
    if wanted == "integer" and type(value) is int:
        return str(value)
    if wanted == "string" and isinstance(value, str) and (value or column.type not in _FORMATS):
        return value
    raise ValueError(f"Not a {wanted} as the schema says.")


def csv_example(name: str) -> str:
    """Header and example rows of a feed: the columns that have an example."""
    feed = FEEDS[name]
    columns = [column for column in feed.columns if column.example or column.required]
    rows = [[_cell(own.get(c.name, c.example)) for c in columns] for own in feed.examples]
    return "".join(",".join(row) + "\n" for row in ([c.name for c in columns], *rows))


def _cell(text: str) -> str:
    return f'"{text}"' if "," in text else text


def feed_page(feed: Feed) -> str:
    """A feed's section of docs/feeds.md."""
    key = ", ".join(f"`{name}`" for name in feed.key)
    lines = [f"### {feed.name}", "", f"{feed.description} Key: {key}.", ""]
    lines += ["| column | type | required | check | meaning | example |", "|---|---|---|---|---|---|"]
    for column in feed.columns:
        cells = (
            f"`{column.name}`", column.type, "yes" if column.required else "", column.check, column.description,
            f"`{column.example}`" if column.example else "",
        )  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "```csv", csv_example(feed.name).rstrip(), "```", ""]
    return "\n".join(lines)


def generated_part() -> str:
    """Everything of docs/feeds.md that is made from the declarations."""
    lines = ["## Codes of rejected rows", "", "| code | message |", "|---|---|"]
    lines += [f"| `{code}` | {message} |" for code, message in ROW_ERRORS.items()]
    return "\n".join([*lines, "", "## Feeds", "", *(feed_page(feed) for feed in FEEDS)]).rstrip() + "\n"
