"""One module per command, which talks to the user; the rest of a command is in the other modules of `local`."""
