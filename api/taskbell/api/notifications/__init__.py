"""The inbox: a user's notifications, read and unread.

A notification is written in the transaction of the change it tells of, by the SQL function `taskbell.notify`; not here.
"""
