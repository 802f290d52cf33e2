-- The schema of the functions.
REVOKE ALL ON SCHEMA taskbell
  FROM PUBLIC, taskbell_api, taskbell_relay, taskbell_gateway, taskbell_sweeper, taskbell_delivery;
GRANT USAGE ON SCHEMA taskbell
  TO taskbell_api, taskbell_relay, taskbell_gateway, taskbell_sweeper, taskbell_delivery;
