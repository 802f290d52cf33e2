SELECT clock_timestamp() AS now, max(measured_at) AS last FROM workspace_usage
