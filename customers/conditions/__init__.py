"""The one condition language: and/or/not over facts, compiled to one SQL predicate and said in a sentence.

    {"all": [...]}   {"any": [...]}   {"not": c}   {"fact": name, "op": op, "value": v}

Empty ({} or None) means everybody. Truth is two-valued: a comparison with an unknown value is false, and its
`not` is true. Values: money and percent as decimal strings, dates ISO 8601, tiers and choices by code, a unit by
id, a person by id or "me". Tier policies, list filters, drill-downs and audiences all go through here.
"""

from customers.conditions.building import both, fact_is, from_query, from_rows, rows_of, to_query
from customers.conditions.parsing import ME, Condition, ConditionError, Group, Leaf, Node, parse, validate
from customers.conditions.predicate import Matches, StandingSQL, compile_condition
from customers.conditions.words import say_value, sentence

__all__ = [
    "ME",
    "Condition",
    "ConditionError",
    "Group",
    "Leaf",
    "Matches",
    "Node",
    "StandingSQL",
    "both",
    "compile_condition",
    "fact_is",
    "from_query",
    "from_rows",
    "parse",
    "rows_of",
    "say_value",
    "sentence",
    "to_query",
    "validate",
]
