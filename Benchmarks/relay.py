"""Messages from a worker to a viewer through the server; one pair, a megabyte under way."""

import random
import select
import struct
import time

from berth_server import Failed
from measure import seconds_used
from sides import WORKER_TOKEN
from websocket_link import BINARY, MASK, Link, Worker, head, masked

WINDOW = 1 << 20
# What the generator gives the socket at once.
BLOCK = 1 << 17
CHANNEL_HEAD = 13


class BerthPair:
    """A worker's data frames carry kind, channel and offset; credit comes back."""

    def __init__(self, side):
        self.worker = Worker(side, WORKER_TOKEN, "bench")
        self.viewer, self.channel = self.worker.viewer(side)
        self.limit = WINDOW

    def messages(self, payload, count):
        """`count` data frames with `payload`, ready to be sent, and the length of one."""
        size = CHANNEL_HEAD + len(payload)
        body = struct.pack(">BIq", 1, self.channel, 0) + payload
        start = head(BINARY, size, MASK)
        block = bytearray((start + masked(body)) * count)
        # The offset is the only thing that moves; it is under the mask like the rest.
        pad = int.from_bytes(bytes(MASK[(5 + n) % 4] for n in range(8)), "big")
        at, length, pack = len(start) + 5, len(start) + size, struct.Struct(">Q").pack_into
        for number in range(count):
            pack(block, at + number * length, (number * len(payload)) ^ pad)
        return block, length

    def may_send(self, sent, seen):
        """Bytes of payload that may be sent in all."""
        for opcode, payload in self.worker.frames.take(self.worker.receive_some()):
            if opcode == BINARY and payload[0] == 2:
                self.limit = max(self.limit, struct.unpack_from(">q", payload, 5)[0])
        return min(self.limit, seen + WINDOW)

    def close(self):
        self.viewer.close()
        self.worker.close()


class NodePair:
    """The peer's sockets carry the payload alone."""

    def __init__(self, side):
        name = str(random.randrange(1 << 30))
        self.worker = Link(side.port, f"/worker/{name}", side.key, side.trust).joined()
        self.viewer = Link(side.port, f"/viewer/{name}", side.key, side.trust).joined()

    def messages(self, payload, count):
        one = head(BINARY, len(payload), MASK) + masked(payload)
        return bytearray(one * count), len(one)

    def may_send(self, sent, seen):
        return seen + WINDOW

    def close(self):
        self.viewer.close()
        self.worker.close()


def relay(side, pair_of, size, count):
    """Microseconds of the server's processor time per message of `size` bytes, `count` of them, a quarter to warm up."""
    pair = pair_of(side)
    try:
        return run(side, pair, random.Random(size).randbytes(size), count)
    finally:
        pair.close()


def run(side, pair, payload, count):
    whole = count + count // 4
    block, length = pair.messages(payload, whole)
    ready = memoryview(block)
    one = head(BINARY, len(payload)) + payload
    # Every byte that the viewer sees is compared with this, from any place in a message on.
    pattern = one * (2 + (1 << 18) // len(one))
    worker, viewer = pair.worker, pair.viewer
    worker.hurry()
    viewer.hurry()
    poll = select.poll()
    poll.register(viewer.wire, select.POLLIN)
    poll.register(worker.wire, select.POLLIN)
    sent = seen = 0
    total, warm = whole * len(one), (count // 4) * len(one)
    used = begun = None
    while seen < total:
        moved = False
        got = viewer.receive_some()
        if got:
            moved = True
            phase = seen % len(one)
            if got != pattern[phase : phase + len(got)]:
                raise Failed("relay: the viewer sees other bytes than were sent")
            seen += len(got)
            if used is None and seen >= warm:
                used, begun, from_here = seconds_used(side.pid), time.perf_counter(), seen
        may = pair.may_send(sent, seen // len(one) * len(payload))
        # Whole messages below the limit, of which a part may have been sent already.
        end = min(len(block), may // len(payload) * length, sent + BLOCK)
        if end > sent:
            taken = worker.send_some(ready[sent:end])
            sent += taken
            moved = moved or taken > 0
        if not moved and not poll.poll(10_000):
            raise Failed(f"relay: nothing moved for 10 s after {seen} of {total} bytes")
    used, took = seconds_used(side.pid) - used, time.perf_counter() - begun
    messages = (total - from_here) / len(one)
    return used / messages * 1e6, {"operations": round(messages), "busy": used / took}
