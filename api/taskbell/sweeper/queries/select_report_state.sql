SELECT counted_from, checked_until FROM report_state
