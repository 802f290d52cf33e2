"""The inbox: what a person was told, read and unread.

Nothing here writes a notification: that happens in the transaction of the change it tells of (SQL: `taskbell.notify`).
"""
