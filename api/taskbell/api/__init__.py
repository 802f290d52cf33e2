"""The HTTP service: one folder per feature, `http` for what all requests share.

Inside a feature, `endpoints` calls `service`, which calls `repository`; `policy` and `errors` are lowest. A feature
calls the service of another feature, never its repository. `app` and `lifespan` construct everything.
"""
