"""Messages from a worker to a viewer through the server, or the other way; one pair, a megabyte under way."""

import random
import select
import struct
import time

from berth_server import Failed
from measure import seconds_used
from sides import WORKER_TOKEN
from websocket_link import BINARY, MASK, Link, Worker, frame, head, masked

WINDOW = 1 << 20
# What the generator gives a socket and takes from one at once, and the payload that it makes ready.
BLOCK = 1 << 17
READ = 1 << 18
SLAB = 1 << 24
DATA, CREDIT = 1, 2
CHANNEL_HEAD = struct.Struct(">BIq")
OFFSET = struct.Struct(">Q")


class BerthPair:
    """A worker's data frames carry kind, channel and offset, and credit goes against them; a viewer sees the payload."""

    def __init__(self, side, upward=False):
        self.worker = Worker(side, WORKER_TOKEN, "bench")
        self.viewer, self.channel = self.worker.viewer(side)
        self.upward = upward
        self.source, self.sink = (self.viewer, self.worker) if upward else (self.worker, self.viewer)
        # In the direction measured: what this worker may send, or has allowed the server to send and has got.
        self.limit, self.got = WINDOW, 0

    def messages(self, payload, earlier, count):
        """`count` messages as they are sent and as `seen` makes them out, `earlier` ones having gone before."""
        if self.upward:
            return (head(BINARY, len(payload), MASK) + masked(payload)) * count, payload * count
        body = CHANNEL_HEAD.pack(DATA, self.channel, 0) + payload
        start = head(BINARY, len(body), MASK)
        length = len(start) + len(body)
        block = bytearray((start + masked(body)) * count)
        # The offset is the only thing that moves; it is under the mask like the rest.
        pad = int.from_bytes((MASK * 4)[5:13], "big")
        for number in range(count):
            OFFSET.pack_into(block, number * length + len(start) + 5, ((earlier + number) * len(payload)) ^ pad)
        return bytes(block), (head(BINARY, len(payload)) + payload) * count

    def seen(self, block):
        """A viewer sees message for message; to the worker the channel is a stream of bytes, in frames of any size."""
        if not self.upward:
            return block
        parts = []
        for opcode, payload in self.worker.frames.take(block):
            kind, channel, offset = CHANNEL_HEAD.unpack_from(payload)
            if (opcode, kind, channel, offset) != (BINARY, DATA, self.channel, self.got):
                raise Failed(f"relay: the worker gets kind {kind} at {offset}, not data at {self.got}")
            parts.append(payload[CHANNEL_HEAD.size :])
            self.got += len(parts[-1])
        return b"".join(parts)

    def may_send(self, seen):
        """Bytes of payload that may be sent in all, `seen` of them having come out."""
        if self.upward:
            if seen > self.limit - WINDOW // 2:
                self.limit = seen + WINDOW
                grant = CHANNEL_HEAD.pack(CREDIT, self.channel, self.limit) + OFFSET.pack(seen)
                self.worker.wire.send(frame(BINARY, grant))
        else:
            for opcode, payload in self.worker.frames.take(self.worker.receive_some()):
                if opcode == BINARY and payload[0] == CREDIT:
                    self.limit = max(self.limit, OFFSET.unpack_from(payload, 5)[0])
        return min(self.limit, seen + WINDOW)

    def close(self):
        self.viewer.close()
        self.worker.close()


class NodePair:
    """The peer's sockets carry the payload alone."""

    def __init__(self, side, upward=False):
        name = str(random.randrange(1 << 30))
        self.worker = Link(side.port, f"/worker/{name}", side.key, side.trust).joined()
        self.viewer = Link(side.port, f"/viewer/{name}", side.key, side.trust).joined()
        self.source, self.sink = (self.viewer, self.worker) if upward else (self.worker, self.viewer)

    def messages(self, payload, earlier, count):
        sent = head(BINARY, len(payload), MASK) + masked(payload)
        return sent * count, (head(BINARY, len(payload)) + payload) * count

    def seen(self, block):
        return block

    def may_send(self, seen):
        return seen + WINDOW

    def close(self):
        self.viewer.close()
        self.worker.close()


def relay(side, pair_of, size, seconds, upward=False):
    """Microseconds of the server's processor time per message of `size` bytes, for so long after a quarter to warm up."""
    pair = pair_of(side, upward)
    try:
        load = Load(pair, random.Random(size).randbytes(size))
        load.run(seconds / 4)
        used, begun, seen = seconds_used(side.pid), time.perf_counter(), load.seen
        load.run(seconds)
        used, took = seconds_used(side.pid) - used, time.perf_counter() - begun
        return used / (load.seen - seen) * 1e6, {"operations": load.seen - seen, "busy": used / took}
    finally:
        pair.close()


class Load:
    """Keeps a megabyte of messages under way, and compares every byte that comes out."""

    def __init__(self, pair, payload):
        self.pair, self.payload = pair, payload
        # Messages that are made ready at once, and how many came before these.
        self.slab = max(64, SLAB // len(payload))
        self.earlier = -self.slab
        # What is to be sent and how much of it has been; what is to be seen, of this and the last slab.
        self.ready, self.sent = b"", 0
        self.expected, self.checked, self.seen_before = [], 0, 0
        self.prepare()
        self.sent_length, self.seen_length = len(self.ready) // self.slab, len(self.expected[0]) // self.slab
        pair.source.hurry()
        pair.sink.hurry()
        self.poll = select.poll()
        self.poll.register(pair.source.wire, select.POLLIN)
        self.poll.register(pair.sink.wire, select.POLLIN)

    @property
    def seen(self):
        """Whole messages that have come out."""
        return self.seen_before + self.checked // self.seen_length

    def prepare(self):
        self.earlier += self.slab
        self.ready, expected = self.pair.messages(self.payload, self.earlier, self.slab)
        self.sent = 0
        self.expected.append(expected)

    def run(self, seconds):
        """Sends for `seconds`, then waits until all has come out."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.turn(sends=True)
        while self.sent % self.sent_length or self.seen < self.earlier + self.sent // self.sent_length:
            self.turn(sends=self.sent % self.sent_length != 0)

    def turn(self, sends):
        moved = self.take()
        # Asked also when nothing is to be sent: it is here that credit is given.
        may = self.pair.may_send(self.seen * len(self.payload)) // len(self.payload)
        if sends:
            moved = self.send(may) or moved
        if not moved and not self.poll.poll(10_000):
            raise Failed(f"relay: nothing moved for 10 s after {self.seen} messages")

    def take(self):
        got = self.pair.sink.receive_some(READ)
        rest = self.pair.seen(got)
        while rest:
            if not self.expected:
                raise Failed("relay: more comes out than went in")
            part = self.expected[0][self.checked : self.checked + len(rest)]
            if not rest.startswith(part):
                raise Failed("relay: other bytes come out than went in")
            rest = rest[len(part) :]
            self.checked += len(part)
            if self.checked == len(self.expected[0]):
                self.seen_before += self.slab
                self.checked = 0
                del self.expected[0]
        return bool(got)

    def send(self, may):
        if self.sent == len(self.ready):
            self.prepare()
        # Whole messages below the limit, of which a part may have been sent already.
        end = min(len(self.ready), (may - self.earlier) * self.sent_length, self.sent + BLOCK)
        if end <= self.sent:
            return False
        taken = self.pair.source.send_some(memoryview(self.ready)[self.sent : end])
        self.sent += taken
        return taken > 0
