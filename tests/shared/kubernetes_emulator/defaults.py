"""Pods as an API server stores them: with defaults, and quantities in their canonical form."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

_POD = {"CronJob": ("spec", "jobTemplate", "spec", "template", "spec"), "Deployment": ("spec", "template", "spec")}
_POD_DEFAULTS: Json = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER_DEFAULTS: Json = {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "": 0, "m": -3}


def filled_in(kind: str, body: Json) -> Json:
    """The body with its pod template, if it has one, as the server stores it. Changes the given body."""
    pod: Any = body
    for step in _POD.get(kind, ("nothing",)):
        pod = pod.get(step) or {}
    for container in pod.get("containers", ()):
        for name, value in _CONTAINER_DEFAULTS.items():
            container.setdefault(name, value)
        container["resources"] = {
            word: {name: canonical(str(amount)) for name, amount in amounts.items()}
            for word, amounts in container["resources"].items()
        }
    if pod:
        for name, value in _POD_DEFAULTS.items():
            pod.setdefault(name, value)
    return body


def canonical(quantity: str) -> str:
    """A quantity with the largest suffix that leaves a whole number (Kubernetes' resource.Quantity)."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    if found is None:
        return quantity
    number, suffix = Decimal(found[1]), found[2]
    if suffix in _BINARY[1:]:
        place = _BINARY.index(suffix)
        while number % 1024 == 0 and place + 1 < len(_BINARY):
            number, place = number / 1024, place + 1
        return f"{int(number)}{_BINARY[place]}"
    if suffix not in _DECIMAL:
        return quantity
    amount = number.scaleb(_DECIMAL[suffix])
    if not amount:
        return "0"
    for name, power in _DECIMAL.items():
        if amount % Decimal(1).scaleb(power) == 0:
            return f"{int(amount.scaleb(-power))}{name}"
    return quantity
