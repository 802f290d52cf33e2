"""How much each workspace writes and stores. The active relay measures it, because one program must.

`watch` measures by a clock, `repository` reads and writes the database. The API refuses what the result forbids, some
seconds later: an exact count in the transaction of each change would let the changes of a workspace wait in a line.
"""
