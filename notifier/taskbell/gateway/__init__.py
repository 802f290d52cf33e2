"""The WebSocket gateway: one reader of the event stream, fanned out in process to the connections of this pod.

`session`, `outbox`, `frames`, `inputs`, `hub`, `recent` and `wheel` are pure: they take values and return values, and
import no I/O. `socket`, `intake`, `replay`, `keys`, `tickets`, `repository` and `http` are the thin shell around them.
"""
