-- One row: the hash of each file of store/schema that the database has, and the version of Taskbell that applied them.
CREATE TABLE IF NOT EXISTS taskbell.schema_files (version text NOT NULL, hashes json NOT NULL)
