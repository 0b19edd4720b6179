"""Pages of relationship management."""
