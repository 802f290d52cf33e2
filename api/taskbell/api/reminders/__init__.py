"""Reminders that a user sends by call. Those before a due time are fired by the sweeper."""
