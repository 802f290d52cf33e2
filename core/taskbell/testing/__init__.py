"""For tests of Taskbell and of its clients: `listener` and `follower` (WebSocket), `platform`, `waiting`."""
