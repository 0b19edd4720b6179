"""The append-only, tamper-evident record of every change and of every reading of a protected field."""
