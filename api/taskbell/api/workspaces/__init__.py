"""Workspaces and their members. `membership` is the check that every feature uses."""
