"""What a rule says no with. Interfaces turn these into a message beside the field, a 409/422 or a line."""

from __future__ import annotations

from collections.abc import Mapping


class DomainError(Exception):
    """A business rule refused. `code` is stable for machines, the message is translated for people.

    `fields` maps a form/API field to its message, where the refusal belongs to one.
    """

    status = 422

    def __init__(
        self, message: str, *, code: str = "invalid", fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.fields = dict(fields or {})


class Conflict(DomainError):
    """The record changed meanwhile, or the same thing is already under way (409)."""

    status = 409
