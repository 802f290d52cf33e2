"""The relay: carries committed events from PostgreSQL to the stream, in order, without gaps, once.

`policy` decides and does no I/O; `repository` alone speaks SQL; `stream` alone speaks to the stream (through the kit);
`relay` moves events between the two; `lease` sees to it that one relay does so at a time; `app` puts all together.
Nothing here knows what a task is, and no request is served here but the probes. Beside its work the active relay lets
the reminders be watched (`lateness`).
"""
