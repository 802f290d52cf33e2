"""What comes before a program's own modules, or does without their libraries.

Imports nothing besides a little of the standard library. It is a room of its own because `taskbell.kit` loads NATS.
"""
