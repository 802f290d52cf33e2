"""Chat channels: a user's alerts in Slack or Teams."""
