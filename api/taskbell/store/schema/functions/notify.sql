-- A loop and not one statement: the document is made from the very row that is written, and row-level security lets
-- nobody read back (RETURNING) what is another's.
CREATE OR REPLACE FUNCTION taskbell.notify(
  concerned uuid[], kind text, workspace uuid, task uuid, actor uuid, title text, body text, traceparent text
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  person uuid;
  told integer := 0;
  notice public.notifications;
BEGIN
  notice.kind := kind;
  notice.workspace_id := workspace;
  notice.task_id := task;
  notice.actor_id := actor;
  notice.title := title;
  notice.body := body;
  notice.urgent := false;
  FOREACH person IN ARRAY taskbell.audience(workspace, concerned) LOOP
    CONTINUE WHEN person = actor;
    notice.id := taskbell.new_id();
    notice.user_id := person;
    notice.created_at := clock_timestamp();
    INSERT INTO public.notifications SELECT notice.*;
    INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
    VALUES (workspace, 'notification.created', notice.id, actor, ARRAY[person], traceparent,
            taskbell.notification_document(notice));
    told := told + 1;
  END LOOP;
  RETURN told;
END
$$;
COMMENT ON FUNCTION taskbell.notify IS
  'Notifies those concerned who are members, but not who did it; returns how many.';
