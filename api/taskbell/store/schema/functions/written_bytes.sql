CREATE OR REPLACE FUNCTION taskbell.written_bytes(after uuid, until uuid)
  RETURNS TABLE (workspace_id uuid, bytes bigint)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT e.workspace_id, sum(e.bytes + e.events * 600 * (
    SELECT count(*) FROM public.webhooks w
    WHERE w.workspace_id = e.workspace_id AND w.enabled AND (e.type = ANY (w.event_types) OR '*' = ANY (w.event_types))
  ))::bigint
  FROM (
    SELECT v.workspace_id, v.type, count(*) AS events, sum(300 + pg_column_size(v.data)) AS bytes
    FROM public.events v WHERE v.id >= after AND v.id < until GROUP BY v.workspace_id, v.type
  ) e
  GROUP BY e.workspace_id
$$;
COMMENT ON FUNCTION taskbell.written_bytes IS
  'About how many bytes the events of a range of ids take by workspace, with their deliveries and all indexes: a row of '
  'an event takes 300 besides its data, a delivery 600.';
REVOKE EXECUTE ON FUNCTION taskbell.written_bytes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION taskbell.written_bytes TO taskbell_relay;
