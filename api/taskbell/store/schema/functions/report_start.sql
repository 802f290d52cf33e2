CREATE OR REPLACE FUNCTION taskbell.report_start(grain integer, at timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN grain = 0 THEN '-infinity'::timestamptz
              ELSE date_bin(make_interval(mins => grain), at, '1970-01-01 00:00+00'::timestamptz) END;
COMMENT ON FUNCTION taskbell.report_start IS
  'Where the span begins that an instant lies in: of so many minutes, a multiple of them since 1970; 0: of all time.';
