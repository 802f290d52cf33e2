"""The schema (models and migrations), connections, partitions. No feature's decision lives here."""
