-- SECURITY DEFINER: of the services only the sweeper writes the job log. A task has as many places as reminders may be
-- sent of it within an hour; a reminder takes the place that was used longest ago. The lock lets reminders of a task take
-- turns.
CREATE OR REPLACE FUNCTION taskbell.take_reminder(task uuid, most integer) RETURNS float8
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  place text;
  used_at timestamptz;
BEGIN
  PERFORM FROM public.tasks t WHERE t.id = task AND taskbell.role_in(t.workspace_id) <> 'viewer' FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT p.name, l.finished_at INTO place, used_at
  FROM (SELECT 'reminder:' || task || ':' || n AS name FROM generate_series(1, most) AS n) p
  LEFT JOIN public.job_log l ON l.job_id = p.name
  ORDER BY l.finished_at NULLS FIRST LIMIT 1;
  IF used_at > clock_timestamp() - interval '1 hour' THEN
    RETURN extract(epoch FROM used_at + interval '1 hour' - clock_timestamp());
  END IF;
  INSERT INTO public.job_log (job_id, finished_at) VALUES (place, clock_timestamp())
  ON CONFLICT (job_id) DO UPDATE SET finished_at = excluded.finished_at;
  RETURN 0;
END
$$;
COMMENT ON FUNCTION taskbell.take_reminder IS
  'Counts a reminder of a task: 0, or the seconds to wait after so many within an hour; NULL if the actor may not remind.';
REVOKE EXECUTE ON FUNCTION taskbell.take_reminder FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.take_reminder TO taskbell_api;
