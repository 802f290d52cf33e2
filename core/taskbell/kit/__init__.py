"""Domain-free plumbing: settings, telemetry, the bus, clock, ids, background roles, health.

Nothing here knows what a task is, and nothing here imports another room.
"""
