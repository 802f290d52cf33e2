"""The link in each e-mail that switches e-mail off, for people and for mail programs (RFC 8058)."""
