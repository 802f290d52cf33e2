-- A loop and not one statement: the document is made from the very row that is written, and row-level security lets
-- nobody read back (RETURNING) what is another's. Which kinds watchers hear, and which pass a mute, is as in the rules of
-- taskbell.contract.notices; `told_already` are those who heard of the same fact by another kind.
CREATE OR REPLACE FUNCTION taskbell.notify(
  concerned uuid[], kind text, workspace uuid, task uuid, actor uuid, title text, body text, traceparent text,
  urgent boolean DEFAULT false, told_already uuid[] DEFAULT '{}'
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
  notice.urgent := urgent;
  FOREACH person IN ARRAY taskbell.hearers(
    workspace, task, concerned,
    watched => kind IN ('status_changed', 'comment', 'overdue'), passes_mute => kind IN ('assigned', 'mention')
  ) LOOP
    CONTINUE WHEN person = actor AND kind <> 'reminder' OR person = ANY (told_already);
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
  'Notifies those concerned, and the watchers of the task if the kind is for them, who are members and did not mute it; '
  'not who did it, but of a reminder. Returns how many.';
