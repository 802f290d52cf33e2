WITH former AS (DELETE FROM taskbell.schema_files)
INSERT INTO taskbell.schema_files (version, hashes) VALUES (:version, :hashes::text::json)
