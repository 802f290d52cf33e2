"""Keeps child processes running: starts them, restarts them after a crash, stops them in order.

A `component` describes a process, `policy` decides about restarts without I/O, `supervisor` acts, `status` shows.
"""
