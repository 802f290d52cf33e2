"""Finding and starting a real control plane."""

import json
import os
import ssl

import pytest

from kubernetes_emulator import control_plane
from kubernetes_emulator.client import ApiServer
from taskbell.local.embedded.process import free_port


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, False), ({"KUBECONFIG": "/any"}, True), ({"KUBEBUILDER_ASSETS": "/nonexistent"}, False)],
)
def test_what_is_given_decides(given, found):
    """A kubeconfig always counts, a folder only with both programs in it."""
    assert control_plane.is_there(given) is found


def test_one_that_does_not_start_says_why(tmp_path):
    """The error has the end of the server's log, and comes at once."""
    for name, text in (("etcd", "exec sleep 60"), ("kube-apiserver", "echo no such flag; exit 1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    assert control_plane.is_there({"KUBEBUILDER_ASSETS": str(tmp_path)})
    with (
        pytest.raises(control_plane.ControlPlaneFailed, match="no such flag"),
        control_plane.started(tmp_path, tmp_path, free_port=free_port),
    ):
        pytest.fail("it did not start")


async def test_a_kubeconfig_is_read_whole(tmp_path, monkeypatch):
    """The address, the token and the switch that skips the check of the certificate come from the file."""
    config = json.loads(control_plane.kubeconfig(ApiServer("https://127.0.0.1:6443", "the-token")))
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    (tmp_path / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", os.fspath(tmp_path / "config"))
    server = await control_plane.of_kubeconfig()
    assert (server.url, server.token) == ("https://127.0.0.1:6443", "the-token")
    assert server.headers() == {"Authorization": "Bearer the-token"}
    assert server.trust.verify_mode is ssl.CERT_NONE
