"""The HTTP service, one package per feature.

`app` builds the application and `lifespan` composes its services; `http` holds what every request passes. In a feature,
`endpoints` calls `service`, and `service` calls `repository`, which alone runs SQL; `schemas` are its wire forms,
`policy` its pure decisions and `errors` its refusals. A feature never imports another feature's `repository`.
"""
