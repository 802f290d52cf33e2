-- Which server this is: `cluster` is the same on a primary and its replicas, `server` is of one run of one of them.
SELECT (pg_control_system()).system_identifier AS cluster,
       concat(inet_server_addr(), ' ', inet_server_port(), ' ', pg_postmaster_start_time()) AS server
