"""The delivery role: carries events outwards, to webhooks and by e-mail, at least once.

`intake` reads the stream and writes a ledger row for every endpoint that wants an event; `sender` takes due rows from
the ledger and hands them to a channel. The ledger, not the stream, carries retries. `policy`, `addresses`, `signature`
and `messages` are pure. SQL is in `repository`; nothing here knows the API.
"""
