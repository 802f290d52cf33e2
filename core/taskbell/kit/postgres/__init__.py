"""PostgreSQL as every program uses it.

`errors` says which errors mean that it is away and translates them; `pool` lends connections that work behind
PgBouncer; `connection` opens a session, which is one connection; `statements` loads fixed statements from `.sql` files
with named parameters.
"""
