"""Pages of the credit book."""
