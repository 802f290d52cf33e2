-- The API adds rows by taskbell.request_password_reset alone, and sees those of the actor.
ALTER TABLE password_resets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON password_resets TO CURRENT_USER USING (true);

CREATE POLICY own ON password_resets TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT, UPDATE (used_at) ON password_resets TO taskbell_api;
