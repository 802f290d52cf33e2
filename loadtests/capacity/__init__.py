"""The capacity check: how much the platform carries on this machine, and whether all of it arrives.

A black box: from the project it imports `taskbell.contract` alone. The judging modules (`steps`, `evidence`,
`conservation`, `report`, `page`) perform no I/O.
"""
