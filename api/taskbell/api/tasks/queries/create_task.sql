-- Inserts a task with its events, notifications and reminders: the function writes them. No document: an assignee is not
-- a member.
SELECT document, id, pg_current_xact_id_if_assigned()::text AS xid
FROM taskbell.create_task(
  :actor, :workspace_id, :title, :description, :status, :priority, :start_at, :due_at, :assignee_ids, :leads,
  :traceparent
)
