"""Builders of Kubernetes objects, one kind a file: from a custom resource to a plain manifest. No I/O in here."""
