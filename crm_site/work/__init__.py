"""Tasks and notifications, used by every app."""
