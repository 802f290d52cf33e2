import os
import socket
import stat

import nats
import pytest

from taskbell.local.embedded.nats import NatsServer
from taskbell.local.embedded.process import ServerNotStarted


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


async def test_a_damaged_stream_is_told_at_once_and_can_be_set_aside(tmp_path):
    """The others are kept, nothing is deleted, and the server starts without the damaged one."""
    server = NatsServer(tmp_path / "nats", accounts={"one": "pass"})
    log = tmp_path / "nats.log"
    with server.running(log):
        connection = await nats.connect(server.url("one"))
        for name in ("KEPT", "LOST"):
            await connection.jetstream().add_stream(name=name, subjects=[name])
        await connection.close()
    assert server.set_damaged_aside() is None
    (tmp_path / "nats/store/jetstream/one/streams/LOST/meta.inf").write_text("x\n")
    with pytest.raises(ServerNotStarted, match="'one > LOST' could not be recovered"), server.running(log):
        pass
    told = server.set_damaged_aside()
    (aside,) = tmp_path.glob("nats.damaged-*")
    assert (aside / "meta.inf").read_text() == "x\n"
    assert told == f"the damaged stream LOST was set aside as {aside}"
    with server.running(log):
        connection = await nats.connect(server.url("one"))
        assert [info.config.name for info in await connection.jetstream().streams_info()] == ["KEPT"]
        await connection.close()
