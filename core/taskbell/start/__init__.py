"""The first moment of every program: what happens before its own modules are loaded.

Imports nothing besides a little of the standard library. It is a room of its own because `taskbell.kit` loads NATS.
"""
