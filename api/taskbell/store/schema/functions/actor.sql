CREATE OR REPLACE FUNCTION taskbell.actor() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('taskbell.actor', true), '')::uuid;
COMMENT ON FUNCTION taskbell.actor IS 'Who the transaction acts for; NULL admits nothing.';
