"""Names, labels and owners that all objects of the operator share."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from taskbell.contract.crds import API_VERSION, GROUP

Json = dict[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
OPERATOR = "taskbell-operator"
DECLARED = f"{GROUP}/declared"
"""Annotation: fingerprint of what was declared, so that a field that is declared no longer is noticed."""


def short_name(name: str, *, limit: int) -> str:
    """A name of at most `limit` characters: itself, or its beginning and a fingerprint."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def labels(owner: Json) -> dict[str, str]:
    """Labels of an object that belongs to a custom resource."""
    return {
        "app.kubernetes.io/part-of": "taskbell",
        MANAGED_BY: OPERATOR,
        f"{GROUP}/{str(owner['kind']).lower()}": short_name(owner["metadata"]["name"], limit=63),
    }


def owner_reference(owner: Json) -> Json:
    """The reference by which Kubernetes deletes an object together with its owner."""
    return {
        "apiVersion": API_VERSION,
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned(body: Json, owner: Json) -> bool:
    """Whether an object belongs to this very custom resource."""
    uid = owner["metadata"]["uid"]
    return any(reference.get("uid") == uid for reference in body["metadata"].get("ownerReferences", []))


def fingerprinted(manifest: Json) -> Json:
    """The manifest with a fingerprint of itself as annotation `DECLARED`."""
    digest = hashlib.sha256(orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), DECLARED: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}
