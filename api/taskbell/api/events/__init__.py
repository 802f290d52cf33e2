"""The change feed: the events of a workspace in the order of the stream, for clients that poll."""
