"""Reads of relationship management: queues, loads, homes, dashboards."""
