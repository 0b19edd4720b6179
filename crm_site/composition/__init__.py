"""Composition: home, search page, shell and demo; with urls, pipeline and settings it alone knows every app."""
