"""What a person does with tasks from a terminal: `taskbell login`, `add`, `tasks`, `done` and the others.

It speaks to any installation by its public interface. It knows the contract and the client of the gateway, and no code
of a server; `taskbell add` starts without loading the libraries of one.
"""
