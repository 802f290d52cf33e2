"""Tasks: create, read, list, change, move, delete, on hand-written SQL.

`policy` and `paging` are pure; SQL is in `queries/` and run by `repository` alone.
"""
