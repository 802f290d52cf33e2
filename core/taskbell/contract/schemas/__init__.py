"""JSON Schemas (2020-12) of what goes over the wire, and the module that reads them. No decisions here."""
