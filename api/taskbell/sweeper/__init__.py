"""The sweeper: a job that fires due reminders, or runs maintenance, and ends.

`sweep` fires reminders, `maintenance` makes partitions and removes what has expired, `policy` decides and does no I/O,
`repository` holds the SQL. All that a reminder causes is one statement, so a sweep may be killed at any moment.
"""
