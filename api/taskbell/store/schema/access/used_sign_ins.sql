-- Ids of sign-ins, which are written before anybody is signed in.
ALTER TABLE used_sign_ins ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON used_sign_ins TO CURRENT_USER USING (true);

CREATE POLICY used ON used_sign_ins TO taskbell_api USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON used_sign_ins TO taskbell_api;
