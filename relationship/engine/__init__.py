"""Pure rules of relationship management: no Django here."""
