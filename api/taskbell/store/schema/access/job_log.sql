GRANT SELECT, INSERT ON job_log TO taskbell_sweeper;
GRANT SELECT (planned_at, finished_at, xid) ON job_log TO taskbell_relay;
