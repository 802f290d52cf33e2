"""Preferences: which kinds of notifications a user wants as alerts, by which channel, from which workspace."""
