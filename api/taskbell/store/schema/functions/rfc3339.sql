-- STABLE as to_char is: PostgreSQL puts a function's text in its place only then, and a call costs four times the work.
CREATE OR REPLACE FUNCTION taskbell.rfc3339(instant timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
