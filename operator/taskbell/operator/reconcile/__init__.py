"""One pass over one object: read, let `plan` and `specs` decide, write what differs. Kopf is not used here."""
