"""What the platform holds about a person, as one stream of lines."""
