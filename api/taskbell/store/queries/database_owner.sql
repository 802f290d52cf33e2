SELECT datdba::regrole::text FROM pg_database WHERE datname = :name
