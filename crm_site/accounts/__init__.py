"""Banks, their organisation, staff, role grants and machine clients."""
