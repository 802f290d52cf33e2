-- The token works for the password and the address of the account that it was asked for: once either is another, not any
-- more. Of two tokens at once the second waits for the account, and then finds another password. The message came to this
-- address, so it is confirmed with that.
WITH used AS (
  UPDATE password_resets r SET used_at = clock_timestamp()
  WHERE r.token_hash = :token_hash AND r.used_at IS NULL AND r.expires_at > clock_timestamp()
  RETURNING r.user_id, r.email, r.password_version
)
UPDATE users u SET password_hash = :new, password_version = u.password_version + 1,
  password_changed_at = clock_timestamp(),
  email_confirmed_at = coalesce(u.email_confirmed_at, clock_timestamp()), updated_at = clock_timestamp()
FROM used r JOIN users former ON former.id = r.user_id
WHERE u.id = former.id AND u.email = r.email AND u.password_version = r.password_version
RETURNING u.email, u.personal_workspace_id, former.email_confirmed_at IS NULL AS was_unconfirmed
