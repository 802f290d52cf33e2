GRANT USAGE ON SEQUENCE task_position TO taskbell_api;
