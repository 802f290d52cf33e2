"""A client of the gateway: one connection (`connection`), and a loop that comes back with its cursor (`following`).

`taskbell watch`, `taskbell listen`, the load tests and the tests use it; so may any Python program.
"""
