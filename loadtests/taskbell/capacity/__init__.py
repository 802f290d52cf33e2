"""The capacity check: how much the platform carries on this machine, and whether all of it arrives.

It sees the platform from outside: of the project it imports `taskbell.contract` and `taskbell.client` alone. The
judging modules (`steps`, `evidence`, `conservation`, `report`, `page`) perform no I/O.
"""
