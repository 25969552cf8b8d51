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
# What the generator gives the socket and takes from it at once, and the payload that it makes ready.
BLOCK = 1 << 17
READ = 1 << 18
SLAB = 1 << 24
CHANNEL_HEAD = 13


class BerthPair:
    """A worker's data frames carry kind, channel and offset; credit comes back."""

    def __init__(self, side):
        self.worker = Worker(side, WORKER_TOKEN, "bench")
        self.viewer, self.channel = self.worker.viewer(side)
        self.limit = WINDOW

    def messages(self, payload, earlier, count):
        """`count` data frames with `payload`, `earlier` ones having gone before, and the length of one."""
        size = CHANNEL_HEAD + len(payload)
        body = struct.pack(">BIq", 1, self.channel, 0) + payload
        start = head(BINARY, size, MASK)
        block = bytearray((start + masked(body)) * count)
        # The offset is the only thing that moves; it is under the mask like the rest.
        pad = int.from_bytes(bytes(MASK[(5 + n) % 4] for n in range(8)), "big")
        at, length, pack = len(start) + 5, len(start) + size, struct.Struct(">Q").pack_into
        for number in range(count):
            pack(block, at + number * length, ((earlier + number) * len(payload)) ^ pad)
        return block, length

    def may_send(self, seen):
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

    def messages(self, payload, earlier, count):
        one = head(BINARY, len(payload), MASK) + masked(payload)
        return bytearray(one * count), len(one)

    def may_send(self, seen):
        return seen + WINDOW

    def close(self):
        self.viewer.close()
        self.worker.close()


def relay(side, pair_of, size, seconds):
    """Microseconds of the server's processor time per message of `size` bytes, for so long after a quarter to warm up."""
    pair = pair_of(side)
    try:
        load = Load(pair, random.Random(size).randbytes(size))
        load.run(seconds / 4)
        used, begun, seen = seconds_used(side.pid), time.perf_counter(), load.seen
        load.run(seconds)
        used, took = seconds_used(side.pid) - used, time.perf_counter() - begun
        messages = (load.seen - seen) / load.shown
        return used / messages * 1e6, {"operations": round(messages), "busy": used / took}
    finally:
        pair.close()


class Load:
    """Keeps a megabyte of messages under way, and compares every byte that the viewer sees."""

    def __init__(self, pair, payload):
        self.pair, self.payload = pair, payload
        one = head(BINARY, len(payload)) + payload
        # Bytes of a message as the viewer sees it, and as many as a read can bring from any place in one on.
        self.shown = len(one)
        self.pattern = one * (2 + READ // len(one))
        # Messages made ready at once, the bytes of one, and how many came in slabs before this one.
        self.slab = max(64, SLAB // len(payload))
        self.ready, self.length = pair.messages(payload, 0, self.slab)
        self.earlier = 0
        # Bytes of this slab that were sent, and bytes that the viewer saw in all.
        self.sent = self.seen = 0
        pair.worker.hurry()
        pair.viewer.hurry()
        self.poll = select.poll()
        self.poll.register(pair.viewer.wire, select.POLLIN)
        self.poll.register(pair.worker.wire, select.POLLIN)

    def run(self, seconds):
        """Sends for `seconds`, then waits until all has come."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.turn(sends=True)
        whole = self.earlier * self.length + -(-self.sent // self.length) * self.length
        while self.seen < whole // self.length * self.shown:
            self.turn(sends=self.sent % self.length != 0)

    def turn(self, sends):
        moved = self.take()
        if sends:
            moved = self.send() or moved
        if not moved and not self.poll.poll(10_000):
            raise Failed(f"relay: nothing moved for 10 s after {self.seen} bytes")

    def take(self):
        got = self.pair.viewer.receive_some(READ)
        phase = self.seen % self.shown
        if got != self.pattern[phase : phase + len(got)]:
            raise Failed("relay: the viewer sees other bytes than were sent")
        self.seen += len(got)
        return bool(got)

    def send(self):
        if self.sent == len(self.ready):
            self.earlier += self.slab
            self.ready, _ = self.pair.messages(self.payload, self.earlier, self.slab)
            self.sent = 0
        may = self.pair.may_send(self.seen // self.shown * len(self.payload)) // len(self.payload) - self.earlier
        # Whole messages below the limit, of which a part may have been sent already.
        end = min(len(self.ready), may * self.length, self.sent + BLOCK)
        if end <= self.sent:
            return False
        taken = self.pair.worker.send_some(memoryview(self.ready)[self.sent : end])
        self.sent += taken
        return taken > 0
