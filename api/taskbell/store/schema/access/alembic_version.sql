-- Services wait until the database has the tables that they know.
GRANT SELECT ON alembic_version TO taskbell_api, taskbell_relay, taskbell_gateway, taskbell_sweeper, taskbell_delivery;
