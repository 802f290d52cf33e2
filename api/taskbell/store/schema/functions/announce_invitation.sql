-- SECURITY DEFINER: the one who invites does not learn whether the address has an account. The event goes to the personal
-- workspace of the invited person, who does not see the other one yet. The notification has the invitation's id, so it is
-- written once.
-- An address without an account gets the same rows as one with an account, so that the time tells neither: the
-- notification is written for the actor and undone, and a letter that is not sent is withdrawn, its token nobody's.
CREATE OR REPLACE FUNCTION taskbell.announce_invitation(
  invitation uuid, traceparent text, secret text DEFAULT NULL, digest bytea DEFAULT NULL, box bytea DEFAULT NULL,
  retry_for interval DEFAULT NULL, most_to_mailbox integer DEFAULT 0, most_by_user_to_mailbox integer DEFAULT 0,
  most_by_user integer DEFAULT 0
) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  made record;
  notice public.notifications;
  letter uuid := taskbell.new_id();
  is_sent boolean;
  told boolean := false;
BEGIN
  SELECT i.workspace_id, i.expires_at, i.role, w.name AS workspace_name, inviter.id AS inviter, inviter.name AS inviter_name,
         inviter.email AS inviter_email, inviter.email_confirmed_at IS NOT NULL AS is_known, u.id AS account,
         coalesce(u.personal_workspace_id, inviter.personal_workspace_id) AS inbox
  INTO made
  FROM public.invitations i
  JOIN public.workspaces w ON w.id = i.workspace_id
  JOIN public.users inviter ON inviter.id = i.invited_by
  LEFT JOIN public.users u ON lower(u.email) = i.email
  WHERE i.id = invitation AND i.invited_by = taskbell.actor() AND i.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF secret IS NOT NULL THEN
    -- One transaction at a time sends to a mailbox, so that letters can be counted.
    PERFORM pg_advisory_xact_lock(hashtextextended('mailbox ' || encode(box, 'hex'), 0));
    SELECT made.account IS NULL AND count(*) FILTER (WHERE l.mailbox = box) < most_to_mailbox
           AND count(*) FILTER (WHERE l.mailbox = box AND l.invited_by = made.inviter) < most_by_user_to_mailbox
           AND count(*) FILTER (WHERE l.invited_by = made.inviter) < most_by_user
    INTO is_sent
    FROM public.invitation_letters l
    WHERE (l.mailbox = box OR l.invited_by = made.inviter) AND l.is_sent AND l.created_at > now() - interval '1 day';
    INSERT INTO public.invitation_letters (id, invitation_id, invited_by, mailbox, token_hash, is_sent)
    VALUES (letter, CASE WHEN is_sent THEN invitation END, made.inviter, box, digest, is_sent);
    -- Who has not confirmed their own address sends no word of their choice to a stranger. What is not sent names nobody.
    INSERT INTO public.deliveries
      (event_id, channel, endpoint_id, workspace_id, event_type, payload, traceparent, state, give_up_at)
    VALUES (taskbell.new_id(), 'email', letter, made.workspace_id, 'email.invitation',
      json_build_object('type', 'email.invitation', 'data', json_build_object(
        'token', secret, 'role', made.role,
        'expires_at', to_char(made.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"+00:00"'),
        'workspace_name', CASE WHEN made.is_known THEN made.workspace_name END,
        'inviter_name', CASE WHEN made.is_known AND is_sent THEN made.inviter_name END,
        'inviter_email', CASE WHEN made.is_known AND is_sent THEN made.inviter_email END))::text,
      announce_invitation.traceparent, CASE WHEN is_sent THEN 'pending' ELSE 'withdrawn' END, now() + retry_for);
  END IF;
  notice.id := invitation;
  notice.user_id := coalesce(made.account, made.inviter);
  notice.workspace_id := made.inbox;
  notice.actor_id := made.inviter;
  notice.kind := 'invited';
  notice.title := 'Invitation to a workspace';
  notice.body := format('%s (%s) invites you to %s as %s', made.inviter_name, made.inviter_email, made.workspace_name,
                        made.role);
  notice.urgent := false;
  notice.created_at := clock_timestamp();
  BEGIN
    INSERT INTO public.notifications SELECT notice.* ON CONFLICT DO NOTHING;
    IF FOUND THEN
      INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
      VALUES (notice.workspace_id, 'notification.created', notice.id, notice.actor_id, ARRAY[notice.user_id],
              announce_invitation.traceparent, taskbell.notification_document(notice));
      told := true;
    END IF;
    IF made.account IS NULL THEN
      RAISE SQLSTATE 'TB001';
    END IF;
  EXCEPTION WHEN SQLSTATE 'TB001' THEN
    told := false;
  END;
  RETURN told;
END
$$;
COMMENT ON FUNCTION taskbell.announce_invitation IS
  'Notifies the account of the address that the actor invited, once; without one, has a letter with a token sent to the '
  'address. Returns whether it notified an account.';
REVOKE EXECUTE ON FUNCTION taskbell.announce_invitation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.announce_invitation TO taskbell_api;
