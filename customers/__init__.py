"""Parties, accounts, balances, ingest, the single view, search: what the core knows, as people."""
