-- SECURITY DEFINER: it ends what is the actor's wherever it stands, and leaves workspaces. `lock_departure` comes before, in
-- the same transaction. The row of the user stays, without anything of the person, for what refers to it, see
-- docs/adr/0046-deleted-accounts.md. What may be much is noted in `erasures`, and maintenance erases it.
CREATE OR REPLACE FUNCTION taskbell.delete_account(traceparent text)
  RETURNS TABLE (workspaces_left integer, workspaces_ended integer, notified integer)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  person uuid := taskbell.actor();
  address text;
  membership record;
BEGIN
  SELECT lower(u.email) INTO address FROM public.users u
  WHERE u.id = person AND u.deleted_at IS NULL AND u.bot_of IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- Tokens of providers count as one session, which has the id of the user.
  INSERT INTO public.sessions (id, user_id, expires_at) VALUES (person, person, now() + interval '1 day');
  UPDATE public.sessions s SET client = NULL, revoked_at = coalesce(s.revoked_at, clock_timestamp()),
    revoked_reason = coalesce(s.revoked_reason, 'account_deleted')
  WHERE s.user_id = person;
  DELETE FROM public.refresh_tokens r USING public.sessions s WHERE r.session_id = s.id AND s.user_id = person;
  -- Of deleted workspaces; one that nobody can restore any more is erased at its time. In one that is restored no webhook
  -- sends what its members do to who is gone.
  UPDATE public.webhooks w SET enabled = false, disabled_reason = 'responsible_left', updated_at = clock_timestamp()
  FROM public.suspended_memberships s
  WHERE s.user_id = person AND w.workspace_id = s.workspace_id AND w.responsible_id = person AND w.enabled;
  DELETE FROM public.suspended_memberships s WHERE s.user_id = person;
  DELETE FROM public.personal_tokens t WHERE t.user_id = person;
  DELETE FROM public.identities i WHERE i.user_id = person;
  DELETE FROM public.second_factors f WHERE f.user_id = person;
  DELETE FROM public.alert_endpoints e WHERE e.user_id = person;
  DELETE FROM public.alert_preferences p WHERE p.user_id = person;
  DELETE FROM public.email_channels c WHERE c.user_id = person;
  -- They count for the mailbox until maintenance deletes them: deleting an account sends nobody more messages.
  UPDATE public.email_confirmations c
  SET email = '', former_email = NULL, used_at = coalesce(c.used_at, clock_timestamp()) WHERE c.user_id = person;
  UPDATE public.password_resets r
  SET email = NULL, used_at = coalesce(r.used_at, clock_timestamp()) WHERE r.user_id = person;
  -- What waits to be sent to the mailbox has tokens in it, and addresses.
  UPDATE public.deliveries d SET state = 'withdrawn', payload = '{}'
  WHERE d.endpoint_id = person AND d.channel = 'email' AND d.state IN ('pending', 'retrying');
  UPDATE public.deliveries d SET state = 'withdrawn', payload = '{}' FROM public.invitation_letters l
  WHERE l.invited_by = person AND d.endpoint_id = l.id AND d.channel = 'email' AND d.payload <> '{}';
  UPDATE public.invitations i SET withdrawn_at = clock_timestamp()
  WHERE i.invited_by = person AND i.withdrawn_at IS NULL;
  DELETE FROM public.invitations i WHERE i.email = address;
  UPDATE public.users u
  SET email = format('deleted-%s@deleted.invalid', u.id), name = 'Deleted user', password_hash = NULL,
    password_version = u.password_version + 1, password_changed_at = NULL, email_confirmed_at = NULL,
    time_zone = 'UTC', quiet_from = NULL, quiet_until = NULL, digest_at = NULL,
    deleted_at = clock_timestamp(), updated_at = clock_timestamp()
  WHERE u.id = person;
  workspaces_left := 0;
  workspaces_ended := 0;
  notified := 0;
  FOR membership IN
    SELECT m.workspace_id AS id, m.role FROM public.memberships m WHERE m.user_id = person ORDER BY 1
  LOOP
    DELETE FROM public.memberships m WHERE m.user_id = person AND m.workspace_id = membership.id;
    IF taskbell.has_other_people(membership.id, person) THEN
      INSERT INTO public.events (workspace_id, type, subject_id, actor_id, audience, traceparent, data)
      VALUES (membership.id, 'member.removed', person, person, ARRAY[person], delete_account.traceparent,
              json_build_object('id', person, 'workspace_id', membership.id, 'role', membership.role));
      notified := notified + taskbell.pause_webhooks(membership.id, person, delete_account.traceparent);
      workspaces_left := workspaces_left + 1;
    ELSE
      PERFORM taskbell.end_workspace(membership.id);
      workspaces_ended := workspaces_ended + 1;
    END IF;
  END LOOP;
  INSERT INTO public.erasures (id, kind) VALUES (person, 'user');
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION taskbell.delete_account IS
  'Deletes the account of the actor; returns how many workspaces it left and ended, and how many owners it notified. '
  'No row: it is deleted already, or a bot.';
REVOKE EXECUTE ON FUNCTION taskbell.delete_account FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.delete_account TO taskbell_api;
