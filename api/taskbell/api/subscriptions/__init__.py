"""Subscriptions: how a user follows one task."""
