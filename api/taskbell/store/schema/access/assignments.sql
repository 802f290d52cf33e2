ALTER TABLE assignments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON assignments TO CURRENT_USER USING (true);

-- Whether an assignee still sees the task is for the policies of `tasks`.
CREATE POLICY own ON assignments FOR SELECT TO taskbell_api USING (user_id = taskbell.actor());

GRANT SELECT ON assignments TO taskbell_api;
