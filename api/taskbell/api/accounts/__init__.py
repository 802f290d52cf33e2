"""Accounts: register, sign in, stay signed in, sign out; the keys that others verify with."""
