"""Pages of segmentation: the book's statistics, tier policies, and why a customer has its tier."""
