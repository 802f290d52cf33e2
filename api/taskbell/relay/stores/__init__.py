"""What PostgreSQL and JetStream say of themselves, as metrics: sizes, connections, locks, lag, backlogs.

The active relay asks, because one program must and it reaches both. It uses the rights that it has anyway: what only
superusers and monitors of PostgreSQL may read is not read. `watch` asks by a clock, `repository` asks PostgreSQL.
"""
