"""`make attack`: hostile users of every known kind next to two honest ones.

`run` composes a run. The honest users and their listeners are in this process; `hostile` is a process of its own with a
low priority, because on a real network attackers do not use the servers' processors.
"""
