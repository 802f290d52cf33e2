-- Every partition of a table with its bounds, as PostgreSQL writes them: DEFAULT, or two ids in quotes.
SELECT c.oid::regclass::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = :table::text::regclass
ORDER BY 1
