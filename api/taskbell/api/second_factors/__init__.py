"""The second factor of accounts with a password: codes of an authenticator (TOTP), and recovery codes."""
