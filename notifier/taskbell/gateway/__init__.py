"""The WebSocket gateway: one reader of the event stream, and the connections of this process that it serves.

An event comes in by `intake` and goes through `hub` to the `socket` of each connection, which writes it by `wire`.
`session`, `send_queue`, `frames`, `inputs`, `actions`, `recent` and `wheel` take values and return values, without I/O.
"""
