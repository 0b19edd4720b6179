"""Deliveries in: the same service behind the API's bulk ingest, the upload page and load_sample."""
