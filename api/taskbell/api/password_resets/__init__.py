"""Forgotten passwords: a token by mail, and the new password."""
