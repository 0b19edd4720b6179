"""Banyan: an open bank CRM."""
