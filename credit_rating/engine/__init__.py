"""Pure calculation of the credit book: no Django, no database, no clock."""
