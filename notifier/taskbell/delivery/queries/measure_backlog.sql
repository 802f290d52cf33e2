SELECT count(*), coalesce(extract(epoch FROM now() - min(d.due_at)), 0)::float8 FROM (
  SELECT due_at FROM deliveries WHERE state IN ('pending', 'retrying') AND due_at <= now() ORDER BY due_at LIMIT 10000
) d
