"""Manners of the REST API: problem+json, key-set paging, strict fields, money as strings, the schema."""
