"""Reads of the credit book."""
