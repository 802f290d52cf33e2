SELECT oid::regprocedure::text FROM pg_proc
WHERE pronamespace = 'taskbell'::regnamespace AND proname <> ALL (:names::text[])
