-- Changes a task, or tells why not: the function decides and writes.
SELECT pg_current_xact_id_if_assigned()::text AS xid, outcome, document, version, workspace_id, kinds, grows, strangers
FROM taskbell.change_task(
  :actor, :task_id, :version, :workspace_id, :sent, :title, :description, :status, :priority, :start_at, :due_at,
  :assignee_ids, :held, :brimful, :leads, :traceparent
)
