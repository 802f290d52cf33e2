"""How much one user may ask for: in a minute, and at once."""
