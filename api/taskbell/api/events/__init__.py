"""The change feed: a workspace's events in the order of the stream, for readers who poll."""
