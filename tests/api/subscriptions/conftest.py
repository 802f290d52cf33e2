"""People of one workspace who work on its tasks together."""

from colleagues import ann, bob, cid, dan, owner, person, told

__all__ = ["ann", "bob", "cid", "dan", "owner", "person", "told"]
