"""The Kubernetes operator's room; empty until the platform moves to a cluster.

This folder is a source root for one portion of the namespace package `taskbell`. It must never hold an `__init__.py`
at `operator/` itself, which would shadow the standard library's `operator`.
"""
