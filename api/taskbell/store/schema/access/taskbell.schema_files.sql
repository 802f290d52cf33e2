-- Services wait until the database has the functions and policies that they know.
GRANT SELECT ON taskbell.schema_files
  TO taskbell_api, taskbell_relay, taskbell_gateway, taskbell_sweeper, taskbell_delivery;
