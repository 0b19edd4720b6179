"""A bank as a whole: backed up into one file, put back from it, removed. Decision record 0009, docs/operations.md."""
