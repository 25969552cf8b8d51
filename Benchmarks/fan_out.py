"""One execution's output to many viewers by server-sent events, a line at a time.

The next line is written when every viewer has seen the last one, so neither side saves work by sending several at once.
"""

import base64
import json
import select
import socket
import struct
import time

from berth_server import Failed
from http_load import request
from measure import seconds_used
from sides import WORKER_TOKEN
from websocket_link import BINARY, Worker, frame

VIEWERS = 500
LINES = 400
WARM = 40
# Viewers whose whole stream is compared with what was written.
SAMPLED = 8


class BerthFeed:
    """A run on a worker that stands alone; this program is the worker."""

    def __init__(self, side):
        self.offset = 0
        self.worker = Worker(side, WORKER_TOKEN, "lines")
        answer = side.server.call("POST", "/api/execute", {"personaId": "bench", "prompt": "lines"})
        self.execution = answer["executionId"]
        assigned = self.worker.hear("assign")
        self.attempt = assigned["attempt"]
        self.tell("started")
        self.tell("open", channel=1, stream="stdout", offset=0)
        self.path = f"/v1/executions/{self.execution}/events?raw=true&streams=stdout"

    def tell(self, kind, **more):
        self.worker.say({"type": kind, "executionId": self.execution, "attempt": self.attempt, **more})

    def write(self, line):
        self.worker.wire.sendall(frame(BINARY, struct.pack(">BIq", 1, 1, self.offset) + line))
        self.offset += len(line)

    def end(self):
        self.worker.wire.sendall(frame(BINARY, struct.pack(">BIq", 3, 1, self.offset)))
        self.tell("complete", status="completed", exitCode=0, durationMs=1)

    def close(self):
        self.worker.close()


class NodeFeed:
    """A request whose body's chunks are the lines."""

    path = "/events"

    def __init__(self, side):
        self.link = socket.create_connection(("127.0.0.1", side.port))
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.sendall(request("POST", "/feed", side.key, more="Transfer-Encoding: chunked\r\n"))

    def write(self, line):
        self.link.sendall(b"%x\r\n%b\r\n" % (len(line), line))

    def end(self):
        self.link.sendall(b"0\r\n\r\n")

    def close(self):
        self.link.close()


class Viewer:
    def __init__(self, link, sampled):
        self.link = link
        self.tail = b""
        self.pieces = [] if sampled else None

    def sees(self, marker):
        """Takes what is there; whether `marker` has come by now."""
        block = self.link.recv(1 << 16)
        if not block:
            raise Failed("fan-out: a viewer was cut off")
        if self.pieces is not None:
            self.pieces.append(block)
        text = self.tail + block
        self.tail = b"" if marker in text else text[-512:]
        return not self.tail


def unchunked(body):
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size.partition(b";")[0], 16)
        if count == 0:
            break
        parts.append(rest[:count])
        body = rest[count + 2 :]
    return b"".join(parts)


def output_of(stream):
    """The bytes that a viewer was sent as stdout."""
    head, _, body = stream.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = unchunked(body)
    parts = []
    for event in body.split(b"\n\n"):
        fields = dict(line.partition(b":")[::2] for line in event.split(b"\n") if line)
        if fields.get(b"event", b"").strip() == b"stdout":
            parts.append(base64.b64decode(json.loads(fields[b"data"])["base64"]))
    return b"".join(parts)


def everyone(poll, viewers, marker):
    """Returns when every viewer has seen `marker`."""
    missing = len(viewers)
    while missing:
        ready = poll.poll(20)
        if not ready:
            raise Failed(f"fan-out: {missing} of {len(viewers)} viewers wait for {marker[:20]!r} in vain")
        for descriptor, _ in ready:
            if viewers[descriptor].sees(marker):
                missing -= 1


def fan_out(side, feed_of):
    """Microseconds of the server's processor time per line and viewer."""
    feed, poll, viewers = feed_of(side), select.epoll(), {}
    text = request("GET", feed.path, side.key)
    try:
        for number in range(VIEWERS):
            link = socket.create_connection(("127.0.0.1", side.port))
            link.sendall(text)
            viewers[link.fileno()] = Viewer(link, number % (VIEWERS // SAMPLED) == 0)
            poll.register(link, select.EPOLLIN)
        everyone(poll, viewers, b"HTTP/1.1 200")
        lines = [b"%06d " % number + b"x" * 80 + b"\n" for number in range(WARM + LINES)]
        for number, line in enumerate(lines):
            if number == WARM:
                before, begun = seconds_used(side.pid), time.monotonic()
            feed.write(line)
            everyone(poll, viewers, base64.b64encode(line))
        used, took = seconds_used(side.pid) - before, time.monotonic() - begun
        feed.end()
        everyone(poll, viewers, b"event: end")
        for viewer in viewers.values():
            if viewer.pieces is not None and output_of(b"".join(viewer.pieces)) != b"".join(lines):
                raise Failed("fan-out: a viewer saw other bytes than were written")
    finally:
        for viewer in viewers.values():
            viewer.link.close()
        poll.close()
        feed.close()
    return used / (LINES * VIEWERS) * 1e6, {"operations": LINES * VIEWERS, "busy": used / took}
