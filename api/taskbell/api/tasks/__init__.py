"""Tasks: create, read, list, change, move, delete.

`policy` and `lists` are pure; `repository` alone runs SQL.
"""
