"""A synthetic bank in NumPy: deterministic by seed, knows no Django and no database.

`plan.make_plan` fixes dates and sizes, `organisation.make_organisation` the units and people,
`book.make_chunk` a slice of customers with everything they have; `synthetic_bank` (one room up) loads it.
"""
