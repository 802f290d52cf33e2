-- Moves one task next to another, or tells why not: the function decides and writes.
SELECT outcome, document, version, workspace_id, lower, upper
FROM taskbell.move_task(:actor, :task_id, :anchor_id, :goes_before, :held, :traceparent)
