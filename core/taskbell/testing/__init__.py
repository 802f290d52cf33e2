"""For tests of Taskbell and its clients: `listener`, `follower`, `platform`, `waiting`, `pushsim` (push providers)."""
