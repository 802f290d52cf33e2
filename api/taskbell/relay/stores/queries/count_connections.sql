-- By role; those of other databases and of the server itself count against the same maximum.
SELECT CASE WHEN starts_with(usename::text, 'taskbell_') THEN usename::text ELSE 'other' END AS role,
  count(*) AS connections
FROM pg_stat_activity WHERE usename IS NOT NULL GROUP BY 1
