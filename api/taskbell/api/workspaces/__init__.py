"""Workspaces and who belongs to them. Their tasks are another room's."""
