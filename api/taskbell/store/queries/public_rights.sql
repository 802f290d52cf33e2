-- What everybody may do in this database, and whether the caller could take it away.
SELECT quote_ident(d.datname) AS database,
       has_database_privilege('public', d.oid, 'TEMPORARY') AS temporary,
       has_schema_privilege('public', 'public', 'CREATE') AS creates,
       pg_has_role(d.datdba, 'USAGE') AS owns_database,
       r.rolsuper AS superuser
FROM pg_database d, pg_roles r
WHERE d.datname = current_database() AND r.rolname = current_user
