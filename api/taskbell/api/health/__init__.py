"""Whether this process lives and is ready, and what it measured."""
