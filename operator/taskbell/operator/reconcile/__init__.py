"""One pass over one object: look, decide by `plan` and `specs`, write what differs. No Kopf in here."""
