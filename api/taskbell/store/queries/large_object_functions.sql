-- PostgreSQL's functions for large objects that everybody may call.
SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_.*|loread|lowrite)$'
  AND has_function_privilege('public', oid, 'EXECUTE')
