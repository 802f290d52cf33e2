SELECT version, hashes::text AS hashes FROM taskbell.schema_files
