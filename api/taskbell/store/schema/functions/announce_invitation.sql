-- SECURITY DEFINER: the one who invites does not learn whether the address has an account. The event goes to the personal
-- workspace of the invited person, who does not see the other one yet. The notification has the invitation's id, so it is
-- written once.
CREATE OR REPLACE FUNCTION taskbell.announce_invitation(invitation uuid, traceparent text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  notice public.notifications;
BEGIN
  SELECT u.id, u.personal_workspace_id, i.invited_by,
         format('%s (%s) invites you to %s as %s', inviter.name, inviter.email, w.name, i.role)
  INTO notice.user_id, notice.workspace_id, notice.actor_id, notice.body
  FROM public.invitations i
  JOIN public.workspaces w ON w.id = i.workspace_id
  JOIN public.users inviter ON inviter.id = i.invited_by
  JOIN public.users u ON lower(u.email) = i.email
  WHERE i.id = invitation AND i.invited_by = taskbell.actor() AND i.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  notice.id := invitation;
  notice.kind := 'invited';
  notice.title := 'Invitation to a workspace';
  notice.urgent := false;
  notice.created_at := clock_timestamp();
  INSERT INTO public.notifications SELECT notice.* ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
  VALUES (notice.workspace_id, 'notification.created', notice.id, notice.actor_id, ARRAY[notice.user_id],
          announce_invitation.traceparent, taskbell.notification_document(notice));
  RETURN true;
END
$$;
COMMENT ON FUNCTION taskbell.announce_invitation IS
  'Notifies the account of the address that the actor invited, if there is one, once; returns whether it did.';
REVOKE EXECUTE ON FUNCTION taskbell.announce_invitation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.announce_invitation TO taskbell_api;
