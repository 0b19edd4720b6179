"""What is done in a rating-and-credit campaign (C9): opened, cut into zones, collected, rated, approved in batches."""
