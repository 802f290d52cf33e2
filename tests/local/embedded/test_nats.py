import os
import socket
import stat

import nats

from taskbell.local.embedded.nats import NatsServer


async def test_streams_survive_a_restart(tmp_path):
    """A server started again on its folder still holds its messages."""
    server = NatsServer(tmp_path / "nats", accounts={"one": "pass"})
    for _ in range(2):
        with server.running(tmp_path / "nats.log"):
            connection = await nats.connect(server.url("one"))
            streams = connection.jetstream()
            await streams.add_stream(name="KEPT", subjects=["kept"])
            sequence = (await streams.publish("kept", b"x")).seq
            await connection.close()
    assert sequence == 2


async def test_accounts_see_nothing_of_each_other(tmp_path):
    """Two accounts may have streams of one name, and neither hears the other."""
    server = NatsServer(tmp_path / "nats", accounts={"one": "a", "two": "b"})
    with server.running(tmp_path / "nats.log"):
        for account in ("one", "two"):
            connection = await nats.connect(server.url(account))
            assert await connection.jetstream().streams_info() == []
            await connection.jetstream().add_stream(name="SAME", subjects=["same"])
            await connection.close()


def test_a_wrong_password_is_refused(tmp_path):
    """Nobody comes in without the account's password, which only the owner of the folder can read."""
    server = NatsServer(tmp_path / "nats", accounts={"one": "right"})
    with (
        server.running(tmp_path / "nats.log"),
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as client,
    ):
        assert stat.S_IMODE(server.config.stat().st_mode) == 0o600
        client.sendall(b'CONNECT {"user":"one","pass":"wrong","verbose":false}\r\nPING\r\n')
        answers = b""
        while received := client.recv(4096):
            answers += received
        assert b"-ERR 'Authorization Violation'" in answers


def test_a_folder_may_have_any_name(tmp_path):
    """Letters beyond ASCII, quotes, spaces, signs, and bytes that are no text at all."""
    for name in ("ünï 'x' %", 'a "b" $c #d', os.fsdecode(b"\xff")):
        server = NatsServer(tmp_path / name / "nats", accounts={"one": "pass"})
        with server.running(tmp_path / "nats.log"):
            assert (tmp_path / name / "nats" / "store").is_dir()
