"""The inbox: the notifications of a user, read and unread.

Nothing here writes a notification: the transaction of the change that it reports does (SQL: `taskbell.notify`).
"""
