-- Each count stops at 100,000: it is a warning, not a figure.
SELECT
  (SELECT count(*) FROM (SELECT FROM tasks_default LIMIT 100000) d) AS tasks,
  (SELECT count(*) FROM (SELECT FROM events_default LIMIT 100000) d) AS events,
  (SELECT count(*) FROM (SELECT FROM notifications_default LIMIT 100000) d) AS notifications,
  (SELECT count(*) FROM (SELECT FROM deliveries_default LIMIT 100000) d) AS deliveries
