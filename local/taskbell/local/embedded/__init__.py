"""PostgreSQL and NATS from wheels, run as child processes by `taskbell up` and by the tests.

They know no table, no stream and no role of Taskbell.
"""
