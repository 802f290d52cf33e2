"""Writes the generated documents from the code, and detects stale ones."""
