-- Where the sums end and the events begin that a report adds itself.
GRANT SELECT ON report_state TO taskbell_api, taskbell_relay;
