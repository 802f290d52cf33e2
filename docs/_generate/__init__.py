"""Writes the generated parts of `docs/reference` from the code, and tells when they have drifted."""
