"""The `taskbell` command line: the whole platform on one machine, and the commands around it.

`taskbell up` runs each program of the platform in a process of its own and supervises it. No other room imports this
one.
"""
