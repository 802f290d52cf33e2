-- Lets the relay count, for reports, the tasks after an id as if they were from before an upgrade.
UPDATE report_state SET seed_after = $1, counted_from = clock_timestamp()
