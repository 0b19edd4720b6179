"""Pages of the customers room: guard, form, one service or selector, page or partial."""
