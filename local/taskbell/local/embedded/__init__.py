"""Real servers from wheels: PostgreSQL and NATS, started and stopped as child processes.

Used alike by `taskbell up` and by the tests. Nothing here knows a table, a stream or a role of Taskbell.
"""
