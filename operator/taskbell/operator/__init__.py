"""The Kubernetes operator: keeps a CronJob for every ReminderSchedule and the size of every WorkerPool's target.

`app` composes it. `watches`, which `supervision` keeps running, puts changed objects on the `queue`, which decides when
`reconcile` makes a pass over one: it reads the cluster and the `signals`, lets `plan` and `specs` decide, and writes
through `cluster`, the only module that talks to the API server. `lease` elects the process that works, `preflight`
checks `permissions` at the start, and `events` records decisions. `definitions` is a command of its own, for upgrades.
Nothing here knows the database.

`operator/` is a source root and must not hold an `__init__.py`, which would shadow the standard library's `operator`.
"""
