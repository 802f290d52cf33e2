"""The sweeper: a job that tells users what the clock brings, or runs maintenance, and ends.

`sweep` fires reminders, `walk` goes over the tasks for stale ones and over the users for their digests, `maintenance`
makes partitions and removes what has expired. `policy` and `local_days` decide and do no I/O; `repository` and
`walk_repository` hold the SQL. All that a reminder causes is one statement, so a sweep may be killed at any moment.
"""
