"""Builders of Kubernetes objects, one module for each kind: from a custom resource to a manifest, without I/O."""
