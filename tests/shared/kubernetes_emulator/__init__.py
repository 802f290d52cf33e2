"""Kubernetes API servers for tests: an emulated one, real ones, a client, and a proxy that injects faults."""
