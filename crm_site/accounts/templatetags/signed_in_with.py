"""What a session was begun with, for the list of a person's sessions."""

from __future__ import annotations

from django import template

from crm_site.accounts import browsers

register = template.Library()


@register.filter
def browser_words(user_agent: str) -> str:
    """Browser, system and device in words."""
    return browsers.say(user_agent)
