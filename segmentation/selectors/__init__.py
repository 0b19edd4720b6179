"""Reads about tiers, statistics and scores."""
