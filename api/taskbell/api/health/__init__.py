"""The probes and the metrics of an API process."""
