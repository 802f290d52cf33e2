"""Domain-free plumbing: entry, settings, logs, traces, probes, NATS, PostgreSQL, clock, ids, background roles.

Nothing here knows what a task is, and nothing here imports another room.
"""

from taskbell.kit import lean as lean
