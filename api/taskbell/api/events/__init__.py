"""The change feed: a workspace's events in the order of the stream, for clients that poll.

`recorder` counts new events and pokes the relay.
"""
