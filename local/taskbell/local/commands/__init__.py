"""One module for each command; what a command does beyond talking to the person lies beside this folder."""
