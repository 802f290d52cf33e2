"""Scopes: which operation needs which, decided in `policy` alone, and told in the OpenAPI document by `document`."""
