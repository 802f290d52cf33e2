"""Tickets for the gateway, which holds the WebSockets."""
