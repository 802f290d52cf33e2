SELECT EXISTS (
  SELECT FROM deliveries
  WHERE event_id >= :start AND event_id < :end AND state IN ('pending', 'retrying') AND give_up_at > now()
)
