"""The Kubernetes operator: keeps a CronJob for every ReminderSchedule and the size of every WorkerPool's target.

`watches` only enqueue; `queue` decides when; `reconcile` looks, asks `plan` and `specs` what should be, and lets
`cluster`, the only room that talks to the API server, make it so. Nothing here knows the database or HTTP clients of
the platform. This folder is a source root for one portion of the namespace package `taskbell`; `operator/` itself
must never hold an `__init__.py`, which would shadow the standard library's `operator`.
"""
