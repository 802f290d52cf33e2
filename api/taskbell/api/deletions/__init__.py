"""Deletion of one's own account, see docs/adr/0046-deleted-accounts.md."""
