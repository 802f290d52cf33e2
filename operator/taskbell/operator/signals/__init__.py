"""Readings that a size depends on: consumers of JetStream, open sockets. They measure and decide nothing."""
