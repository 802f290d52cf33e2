"""A fuzzer of WebSocket frames: whatever bytes come, the gateway answers as RFC 6455 says, and goes on for others."""

import asyncio
import base64
import contextlib
import os

import orjson
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskbell.gateway.app import gateway
from taskbell.gateway.settings import GatewaySettings
from taskbell.kit.entry import listen

pytestmark = [pytest.mark.feature("F3", "K4"), pytest.mark.timeout(600)]

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
BAD_FRAME = 4001


def frame(opcode, data=b"", *, fin=True, rsv=0, mask=True, length=None):
    """A client's frame (section 5.2), well-formed or not; `length` says it in more bytes than are needed."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size, flag = len(data), 0x80 if mask else 0
    length = length or (7 if size < 126 else 16 if size < 65536 else 64)
    head = bytes((first, flag | {7: size, 16: 126, 64: 127}[length]))
    head += b"" if length == 7 else size.to_bytes(length // 8)
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(data))


class Peer:
    """A raw client after its handshake."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port, token):
        """Shake hands, sign in and read the welcome."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /ws?channels= HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        made = cls(reader, writer)
        opcode, data = await made.read()
        assert (opcode, orjson.loads(data)["t"]) == (TEXT, "welcome")
        return made

    async def read(self):
        """Read a server's frame, which is well-formed: whole, unmasked, of minimal length (sections 5.1 and 5.2)."""
        first, second = await self.reader.readexactly(2)
        assert first & 0x70 == 0, "reserved bits"
        assert second & 0x80 == 0, "a server does not mask"
        assert first & 0x80, "the gateway does not fragment"
        size, opcode = second & 0x7F, first & 0x0F
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2))
            assert size > 125
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8))
            assert size > 65535
        assert opcode in {TEXT, CLOSE, PING, PONG}
        assert opcode == TEXT or size <= 125, "control frames are short (section 5.5)"
        data = await self.reader.readexactly(size)
        if opcode == TEXT:
            orjson.loads(data)
        return opcode, data

    async def until_end(self):
        """Read everything; return the frames, and the code of the close frame; None without."""
        frames, code = [], None
        try:
            while True:
                opcode, data = await self.read()
                assert code is None or opcode == PONG, "only pongs follow a close frame (sections 5.5.1 and 5.5.2)"
                if opcode == CLOSE:
                    code = int.from_bytes(data[:2]) if data else 1005
                    data[2:].decode()
                frames.append((opcode, data))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return frames, code

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@pytest_asyncio.fixture(loop_scope="function")
async def dial(database, nats_url, jwks, stream, people):
    """Connects raw clients to one gateway, however many examples there are."""
    wanted = GatewaySettings(
        database_url=database.gateway_url,
        nats_url=nats_url,
        jwks_url=jwks.url,
        gateway_drain_timeout="PT0.1S",
        gateway_max_connections_per_user=1000,
    )
    token = people.token(await people.user())
    async with gateway(wanted, listening=listen(host="127.0.0.1", port=0)) as running:

        async def connect():
            return await Peer.connect(running.port, token)

        yield connect


def fuzzed(strategy, check, examples):
    """Give each example to a coroutine on the loop of the test: hypothesis itself knows no coroutines."""

    def run(loop):
        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def one(example):
            asyncio.run_coroutine_threadsafe(check(example), loop).result(60)

        one()

    return asyncio.to_thread(run, asyncio.get_running_loop())


payloads = st.one_of(
    st.just(b'{"t":"pong"}'),
    st.just(b'{"t":"subscribe","channel":"me","id":1}'),
    st.binary(max_size=200),
    st.text(max_size=50).map(str.encode),
    st.integers(100, 20_000).map(lambda size: b"x" * size),
)
frames = st.builds(
    frame,
    st.sampled_from([TEXT] * 6 + [BINARY, CONT, CONT, CLOSE, PING, PING, PONG, 3, 7, 11, 15]),
    payloads,
    fin=st.sampled_from([True, True, True, False]),
    rsv=st.sampled_from([0] * 12 + [1, 2, 4]),
    mask=st.sampled_from([True] * 12 + [False]),
)


async def test_any_frames_get_frames_or_an_end(dial):
    """Valid or not, cut anywhere: each answer is a well-formed frame, and after a close frame come only pongs."""

    async def check(example):
        sent, cut, pieces = example
        text = b"".join(sent)
        text = text[: len(text) - cut] if cut else text
        step = max(1, len(text) // pieces)
        async with await dial() as peer:
            with contextlib.suppress(OSError):
                for start in range(0, len(text), step):
                    peer.writer.write(text[start : start + step])
                    await asyncio.sleep(0)
                peer.writer.write_eof()
            _, code = await peer.until_end()
        assert code is None or code in {BAD_FRAME, 4429} or 1000 <= code < 5000

    await fuzzed(
        st.tuples(st.lists(frames, max_size=8), st.integers(0, 20), st.sampled_from([1, 1, 3, 50])), check, 300
    )


WRONG = st.one_of(
    st.builds(frame, st.sampled_from([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), st.binary(max_size=10)),  # section 5.2
    st.builds(frame, st.sampled_from([TEXT, PING]), st.just(b"{}"), rsv=st.integers(1, 7)),  # 5.2: no extension
    st.builds(frame, st.sampled_from([TEXT, PING, CLOSE]), st.just(b""), mask=st.just(False)),  # 5.1: must be masked
    st.builds(frame, st.sampled_from([PING, PONG, CLOSE]), st.binary(max_size=9), fin=st.just(False)),  # 5.5
    st.builds(frame, st.sampled_from([PING, PONG, CLOSE]), st.binary(min_size=126, max_size=300)),  # 5.5
    st.builds(frame, st.just(CONT), st.binary(max_size=10)),  # 5.4: nothing to continue
    st.just(frame(TEXT, b"{", fin=False) + frame(TEXT, b"}")),  # 5.4: not a continuation
    st.builds(frame, st.just(CLOSE), st.binary(min_size=1, max_size=1)),  # 5.5.1: half a code
    st.sampled_from([0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535]).map(
        lambda code: frame(CLOSE, code.to_bytes(2))  # 7.4.1 and 7.4.2: codes that must not be sent
    ),
    st.just(frame(CLOSE, b"\x03\xe8\xff")),  # 5.5.1: the reason is UTF-8
    st.sampled_from([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]).map(
        lambda text: frame(TEXT, text)  # 8.1: a text is UTF-8
    ),
    st.builds(frame, st.just(BINARY), st.binary(max_size=20)),  # our own: frames are text
    st.just(b"\x81\xff" + b"\xff" * 8 + b"\0" * 4),  # 5.2: the first bit of a length is 0
    st.just(frame(TEXT, b"x" * 16_385)),  # our own: at most 16 KiB
    st.just(frame(TEXT, b"x" * 9_000, fin=False) + frame(CONT, b"x" * 9_000)),  # also in fragments
)


async def test_what_the_protocol_forbids_fails_the_connection(dial):
    """It gets an error frame, the close code of a bad frame, and the end (section 7.1.7)."""

    async def check(example):
        before, wrong = example
        async with await dial() as peer:
            peer.writer.write(b"".join(before) + wrong + frame(TEXT, b'{"t":"pong"}'))
            found, code = await peer.until_end()
        assert code == BAD_FRAME, (wrong[:20], found)
        assert b"bad_frame" in b"".join(data for opcode, data in found if opcode == TEXT)

    await fuzzed(st.tuples(st.lists(st.sampled_from([frame(PONG), frame(TEXT, b'{"t":"pong"}')])), WRONG), check, 250)


@st.composite
def conversations(draw):
    """Requests in fragments of any size, with control frames between them; what is sent, and what must come back."""
    sent, pongs, replies = b"", [], []
    for number in range(draw(st.integers(1, 4))):
        text = orjson.dumps({"t": "subscribe", "channel": "me", "id": f"é{number}"})
        cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
        parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        for place, part in enumerate(parts):
            sent += frame(CONT if place else TEXT, part, fin=place == len(parts) - 1)
            if draw(st.booleans()):
                pongs.append(draw(st.binary(max_size=125)))
                sent += frame(PING, pongs[-1]) + (frame(PONG, b"?") if draw(st.booleans()) else b"")
        replies.append(f"é{number}")
    reason = draw(st.text(max_size=20)).encode()
    code = draw(st.sampled_from([1000, 1001, 1011, 3000, 4999]))
    end = draw(st.sampled_from([b"", code.to_bytes(2) + reason]))
    return sent + frame(CLOSE, end), pongs, replies, end


async def test_what_the_protocol_allows_is_answered(dial):
    """Fragments are one message, pings between them are answered in order with their bytes, a close is echoed."""

    async def check(example):
        sent, pongs, replies, end = example
        async with await dial() as peer:
            for start in range(0, len(sent), 7):
                peer.writer.write(sent[start : start + 7])
            found, _ = await peer.until_end()
        assert [data for opcode, data in found if opcode == PONG] == pongs
        ids = [orjson.loads(data)["id"] for opcode, data in found if opcode == TEXT]
        assert ids == replies[: len(ids)]  # a close frame overtakes replies: the library reads ahead
        assert found[-1][0] == CLOSE
        assert found[-1][1][:2] == end[:2]

    await fuzzed(conversations(), check, 200)
