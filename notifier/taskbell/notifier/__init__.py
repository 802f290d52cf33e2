"""The notifier: brings events to people. `gateway` is its WebSocket role, `delivery` the one that sends outwards.

The gateway never writes to the database; delivery keeps its ledger there. Neither calls the API but for its public
keys; both react to events. Nothing here imports another service.
"""
