-- It looks first and locks only to repair: while the row is locked nothing is folded, and reports read more events.
-- Corrected days may show that the sum of 16 days is wrong, so it looks again after a repair.
CREATE OR REPLACE FUNCTION taskbell.check_reports(since timestamptz, until timestamptz) RETURNS bigint
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  corrected bigint := 0;
  wrong bigint;
BEGIN
  IF EXISTS (SELECT FROM public.report_state s WHERE s.seed_after IS NOT NULL) THEN
    RETURN 0;
  END IF;
  IF EXISTS (SELECT FROM taskbell.report_miscounts()) THEN
    PERFORM FROM public.report_state FOR UPDATE;
    corrected := taskbell.recount_reports();
  END IF;
  FOR pass IN 1 .. 4 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM taskbell.report_differences(check_reports.since, check_reports.until));
    PERFORM FROM public.report_state FOR UPDATE;
    INSERT INTO public.report_cells AS c
    SELECT * FROM taskbell.report_differences(check_reports.since, check_reports.until)
    ON CONFLICT ON CONSTRAINT report_cells_pkey DO UPDATE SET amount = excluded.amount, millis = excluded.millis;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    corrected := corrected + wrong;
  END LOOP;
  UPDATE public.report_state s
  SET checked_until = greatest(s.checked_until, check_reports.until), repaired = s.repaired + corrected;
  RETURN corrected;
END
$$;
COMMENT ON FUNCTION taskbell.check_reports IS
  'Compares the cells of open tasks with the tasks, and those of some days with their events, and puts right what is '
  'wrong. Returns how many cells were.';
REVOKE EXECUTE ON FUNCTION taskbell.check_reports FROM PUBLIC;
