-- Moves one task next to another, or tells why not: the function decides and writes. `xid` is the
-- position of the change.
SELECT pg_current_xact_id_if_assigned()::text AS xid, outcome, document, version, workspace_id, lower, upper
FROM taskbell.move_task(:actor, :task_id, :anchor_id, :goes_before, :held, :traceparent)
