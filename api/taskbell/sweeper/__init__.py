"""Sweeps that run by schedule: due reminders fired, old rows and partitions removed. One process each, run to its end.

Everything a reminder causes is one statement, so that a sweep may be killed anywhere. Nothing here answers requests.
"""
