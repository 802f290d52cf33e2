-- Called with the row of report_state locked, so that nobody folds between its statement's snapshot and its end.
CREATE OR REPLACE FUNCTION taskbell.recount_reports() RETURNS bigint
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong bigint;
BEGIN
  INSERT INTO public.report_cells AS c SELECT * FROM taskbell.report_miscounts()
  ON CONFLICT ON CONSTRAINT report_cells_pkey DO UPDATE SET amount = excluded.amount;
  GET DIAGNOSTICS wrong = ROW_COUNT;
  DELETE FROM public.report_cells c WHERE c.measure IN ('pending', 'in_progress') AND c.amount = 0;
  RETURN wrong;
END
$$;
COMMENT ON FUNCTION taskbell.recount_reports IS
  'Counts the open tasks and corrects their cells; returns how many were wrong.';
REVOKE EXECUTE ON FUNCTION taskbell.recount_reports FROM PUBLIC;
