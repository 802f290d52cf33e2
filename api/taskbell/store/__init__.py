"""The database: `models` describes its tables, `migrate` brings it to them and to the files of `schema/`.

`migrations` changes tables and data; `schema_files` applies functions, policies and grants; `roles` prepares the roles
of the services, `databases` their databases; `partitions` makes partitions ahead and drops expired ones; `pool` lends
the API its connections.
"""
