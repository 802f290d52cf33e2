"""Comments on tasks: write, list, delete. Who hears of one is decided by the SQL function `taskbell.notify`."""
