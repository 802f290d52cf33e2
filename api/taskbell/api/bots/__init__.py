"""Bot users: members of one workspace who sign in by personal access tokens alone."""
