SELECT seed_after IS NULL FROM report_state
