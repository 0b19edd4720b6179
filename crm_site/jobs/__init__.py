"""Runs, steps, chunks and the outbox: PostgreSQL holds the truth, Celery only wakes workers."""
