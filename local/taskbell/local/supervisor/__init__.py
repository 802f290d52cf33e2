"""Keeps a set of child processes running: start when ready, restart after a crash, stop in order.

Knows nothing of Taskbell: what runs is told by `Component`s. Decisions are in `policy`, which does no I/O.
"""
