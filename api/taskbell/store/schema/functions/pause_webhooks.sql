-- SECURITY DEFINER: one who leaves does not administer the workspace any more. Whoever asks, it pauses only what nobody
-- who administers the workspace is responsible for. The lock makes it wait for webhooks that are being added.
CREATE OR REPLACE FUNCTION taskbell.pause_webhooks(workspace uuid, person uuid, traceparent text) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  paused integer;
  told integer := 0;
  notice public.notifications;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('webhooks ' || workspace, 0));
  IF EXISTS (SELECT FROM public.memberships m
             WHERE m.user_id = person AND m.workspace_id = workspace AND m.role IN ('owner', 'admin')) THEN
    RETURN 0;
  END IF;
  UPDATE public.webhooks w
  SET enabled = false, disabled_reason = 'responsible_left', updated_at = clock_timestamp()
  WHERE w.workspace_id = workspace AND w.responsible_id = person AND w.enabled;
  GET DIAGNOSTICS paused = ROW_COUNT;
  IF paused = 0 THEN
    RETURN 0;
  END IF;
  notice.kind := 'webhooks_paused';
  notice.workspace_id := workspace;
  notice.actor_id := person;
  notice.title := 'Webhooks paused';
  notice.urgent := false;
  SELECT format('Switched off in %s: %s, because %s no longer administers it',
                w.name, CASE paused WHEN 1 THEN '1 webhook' ELSE paused || ' webhooks' END, u.name)
  INTO notice.body FROM public.workspaces w, public.users u WHERE w.id = workspace AND u.id = person;
  FOR notice.user_id IN
    SELECT m.user_id FROM public.memberships m WHERE m.workspace_id = workspace AND m.role = 'owner' ORDER BY m.user_id
  LOOP
    notice.id := taskbell.new_id();
    notice.created_at := clock_timestamp();
    INSERT INTO public.notifications SELECT notice.*;
    INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
    VALUES (workspace, 'notification.created', notice.id, person, ARRAY[notice.user_id], pause_webhooks.traceparent,
            taskbell.notification_document(notice));
    told := told + 1;
  END LOOP;
  RETURN told;
END
$$;
COMMENT ON FUNCTION taskbell.pause_webhooks IS
  'Switches off the webhooks of a person who does not administer the workspace, and notifies its owners; how many.';
REVOKE EXECUTE ON FUNCTION taskbell.pause_webhooks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.pause_webhooks TO taskbell_api;
