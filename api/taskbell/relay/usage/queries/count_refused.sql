SELECT count(*) FILTER (WHERE refused_for > 0) AS refused, count(*) FILTER (WHERE tasks_full) AS full
FROM taskbell.refused_workspaces()
