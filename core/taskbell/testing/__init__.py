"""For tests of Taskbell and its clients: `listener`, `follower` (WebSocket), `platform`, `waiting`, `pushsim` (push)."""
