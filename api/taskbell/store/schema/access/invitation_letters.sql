-- The API adds rows by taskbell.announce_invitation and finds one by taskbell.invitation_of_letter, and nothing else.
ALTER TABLE invitation_letters ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY maintenance ON invitation_letters TO CURRENT_USER USING (true);

CREATE POLICY delivered ON invitation_letters FOR SELECT TO taskbell_delivery USING (true);

GRANT SELECT (id, invitation_id) ON invitation_letters TO taskbell_delivery;
