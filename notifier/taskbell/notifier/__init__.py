"""The notifier: brings events to people. `gateway` is its WebSocket role.

It never writes to the database and never calls the API but for its public keys; it reacts to events. Nothing here
imports another service.
"""
