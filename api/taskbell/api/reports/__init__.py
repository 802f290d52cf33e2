"""Reports on a workspace: what was done, how long it took, who has how much to do, what is overdue.

`policy` decides which sums a report adds; `repository` adds them and the events that no sum holds yet.
"""
