"""How responses leave."""

import asyncio
from typing import Any

import pytest

from tanglai.server.protocol import JOINED_BYTES, Gate, JoiningTransport, Mailbox

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Packets(asyncio.Transport):
    """Keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4)})
        self.sent: list[bytes] = []
        self.closed = self.gone = False

    def is_closing(self) -> bool:
        return self.closed or self.gone

    def write(self, data: Any) -> None:
        assert not self.is_closing()
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def packets() -> Packets:
    return Packets()


@pytest.fixture
async def transport(packets: Packets) -> JoiningTransport:
    return JoiningTransport(packets, asyncio.get_running_loop())


async def test_head_and_body_are_one_packet(packets: Packets, transport: JoiningTransport) -> None:
    for _ in range(2):
        transport.write(HEAD)
        transport.write(b"body")
    await asyncio.sleep(0)
    assert packets.sent == [HEAD + b"body"] * 2


async def test_what_follows_leaves_at_once(packets: Packets, transport: JoiningTransport) -> None:
    for part in (HEAD, b"one", b"two", b"three"):
        transport.write(part)
    assert packets.sent == [HEAD + b"one", b"two", b"three"]


async def test_a_head_alone_does_not_wait(packets: Packets, transport: JoiningTransport) -> None:
    """Events may come much later; their client is told at once that it is connected."""
    transport.write(HEAD)
    assert packets.sent == []
    await asyncio.sleep(0)
    assert packets.sent == [HEAD]
    transport.write(b"event")
    assert packets.sent == [HEAD, b"event"]


async def test_a_body_that_looks_like_a_head_keeps_its_place(packets: Packets, transport: JoiningTransport) -> None:
    for part in (HEAD, b"a", b"HTTP/1.1 is no head here", b"b"):
        transport.write(part)
    await asyncio.sleep(0)
    assert b"".join(packets.sent) == HEAD + b"aHTTP/1.1 is no head hereb"


async def test_nothing_is_lost_when_it_closes(packets: Packets, transport: JoiningTransport) -> None:
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert packets.sent == [HEAD]
    assert packets.closed


async def test_all_else_is_the_transport_s(packets: Packets, transport: JoiningTransport) -> None:
    assert transport.get_extra_info("peername") == ("192.0.2.1", 4)
    protocol = asyncio.Protocol()
    with pytest.raises(NotImplementedError):  # which is what this one says
        transport.set_protocol(protocol)


async def test_a_head_for_a_client_that_is_gone_is_dropped(packets: Packets, transport: JoiningTransport) -> None:
    transport.write(HEAD)
    packets.gone = True
    await asyncio.sleep(0)
    assert packets.sent == []


async def test_no_body_is_no_packet_of_its_own(packets: Packets, transport: JoiningTransport) -> None:
    transport.write(HEAD)
    transport.write(b"")
    await asyncio.sleep(0)
    assert packets.sent == [HEAD]


async def test_a_long_body_is_not_copied(packets: Packets, transport: JoiningTransport) -> None:
    body = bytes(JOINED_BYTES + 1)
    transport.write(HEAD)
    transport.write(body)
    assert packets.sent == [HEAD, body]


async def test_order_is_kept_where_another_protocol_takes_over(packets: Packets, transport: JoiningTransport) -> None:
    transport.write(HEAD)
    transport.stop()
    packets.write(b"switched")
    transport.write(HEAD)
    assert packets.sent == [HEAD, b"switched", HEAD]


async def test_messages_come_in_their_order_and_wake_who_waits() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    for number in range(3):
        mailbox.put_nowait(number)
    assert [await reading, await mailbox.get()] == [0, 1]
    assert not mailbox.empty()
    assert await mailbox.get() == 2
    assert mailbox.empty()


async def test_who_stops_reading_takes_no_message_along() -> None:
    mailbox = Mailbox()
    for late in (False, True):
        reading = asyncio.create_task(mailbox.get())
        await asyncio.sleep(0)
        if late:
            mailbox.put_nowait("one")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    mailbox.put_nowait("two")
    assert [await mailbox.get(), await mailbox.get()] == ["one", "two"]


async def test_a_gate_is_open_until_it_is_closed_and_lets_all_through_then() -> None:
    gate = Gate()
    gate.set()
    await gate.wait()
    gate.clear()
    gate.clear()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, False, False]
    gate.set()
    await asyncio.gather(*waiting[1:])


async def test_who_is_let_through_a_gate_that_closed_again_waits_on() -> None:
    gate = Gate()
    gate.clear()
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)
    gate.set()
    gate.clear()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    await waiting
