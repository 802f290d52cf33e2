-- Notifies those responsible for a task, also the actor; not more than :most times within an hour. `wait`: the seconds to
-- wait instead, 0 if it was sent; NULL: the actor may not remind any more.
WITH taken AS MATERIALIZED (
  SELECT taskbell.take_reminder(:task_id, :most) AS wait
)
SELECT taken.wait,
       CASE WHEN taken.wait = 0 THEN
         taskbell.notify(
           taskbell.responsible(:workspace_id, :created_by, :assignee_ids), 'reminder', :workspace_id, :task_id, :actor,
           :title, coalesce(:note::text, 'Due at ' || taskbell.plain_time(:due_at), 'Reminder'), :traceparent,
           urgent => :urgent)
       ELSE 0 END AS told
FROM taken
