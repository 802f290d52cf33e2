-- The token confirms the address of the account, or gives it another one in place of the one that it had when the message
-- was asked for. Of two tokens at once the second waits for the account, and then finds another address.
WITH used AS (
  UPDATE email_confirmations c SET used_at = clock_timestamp()
  WHERE c.token_hash = :token_hash AND c.user_id = :user_id AND c.used_at IS NULL AND c.expires_at > clock_timestamp()
  RETURNING c.user_id, c.email, coalesce(c.former_email, c.email) AS present
)
UPDATE users u SET email = c.email, updated_at = clock_timestamp(),
  email_confirmed_at = CASE WHEN u.email = c.email THEN coalesce(u.email_confirmed_at, clock_timestamp()) ELSE clock_timestamp() END
FROM used c WHERE u.id = c.user_id AND u.email = c.present
RETURNING u.id, u.email, u.name, u.time_zone, u.quiet_from, u.quiet_until, u.digest_at, u.personal_workspace_id,
  u.email_confirmed_at, u.created_at, c.present AS former_email
