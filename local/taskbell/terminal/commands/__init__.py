"""The commands, one a module; each loads what it needs when it runs."""
