"""Credit policies as versioned data: their shapes, and what reads them. A subject is a module with a `SHAPE`."""

from credit_rating.policies import (
    authority,
    campaign,
    caps,
    classes,
    grades,
    haircuts,
    line_control,
    methods,
    pricing,
    rating_rules,
    warnings,
)
from credit_rating.policies.shapes import SHAPES, Body, Column, PolicyFault, Shape, Table, add_shape, read

SUBJECTS = (
    grades,
    rating_rules,
    methods,
    haircuts,
    caps,
    pricing,
    line_control,
    authority,
    classes,
    warnings,
    campaign,
)


def register() -> None:
    """Make every subject known (AppConfig.ready)."""
    for subject in SUBJECTS:
        add_shape(subject.SHAPE)


__all__ = ["SHAPES", "Body", "Column", "PolicyFault", "Shape", "Table", "read", "register"]
