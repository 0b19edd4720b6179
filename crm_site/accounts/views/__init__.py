"""Settings pages of a bank, one's own page, and the platform's list of banks."""
