"""The relay: publishes committed events from PostgreSQL to the stream, in order, without gaps, once.

`relay` moves events from the `repository` to the `stream`, as `policy` decides; `supervision` connects, holds the lease
and starts again after an interruption. `repository` alone runs SQL, `stream` alone talks to JetStream. While it is
active, the relay also measures how late reminders are (`lateness`) and how much
workspaces write (`usage`). It knows nothing of tasks.
"""
