CREATE OR REPLACE FUNCTION taskbell.plain_time(instant timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"');
COMMENT ON FUNCTION taskbell.plain_time IS
  'A time in the text of a notification: minutes in UTC. E-mail, push and chats tell it in the zone of the reader (taskbell.delivery.times).';
