SELECT quote_ident(polname) FROM pg_policy WHERE polrelid = to_regclass(:relation)
