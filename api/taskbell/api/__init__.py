"""The HTTP service: one folder per feature, `db` for schema and connections, `outbox` for the relay.

Inside a feature: `endpoints` > `service` > `repository` > `models`; `policy` and `errors` lowest. A feature calls
another feature's service, never its repository.
"""
