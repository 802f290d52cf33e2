"""The `taskbell` command line: the whole platform on one machine, and the small commands around it.

It may import every other room; no other room may import it. What runs here are the services' own processes,
started as anybody would start them: no service code runs inside the supervisor.
"""
