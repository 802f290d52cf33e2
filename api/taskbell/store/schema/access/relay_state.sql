GRANT SELECT, UPDATE ON relay_state TO taskbell_relay;
