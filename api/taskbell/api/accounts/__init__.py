"""Accounts: register, sign in, refresh, sign out; the public keys that verify tokens."""
