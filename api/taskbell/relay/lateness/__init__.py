"""How late reminders are. The active relay measures it, since sweeps are short-lived and the worst is that none runs.

`watch` measures by a clock, `repository` reads the database, `metrics` shows the result to Prometheus.
"""
