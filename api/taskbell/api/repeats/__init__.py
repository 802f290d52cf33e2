"""Repeats: a request that is sent again with its `Idempotency-Key` gets the answer of the first.

`policy` decides, `sealing` encrypts, `repository` keeps the answers. `taskbell.api.http.repeats` does it for requests.
"""
