"""The client's side of a WebSocket, as little as a load generator needs."""

import base64
import json
import os
import socket
import ssl
import struct
import time

from berth_server import Failed

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = bytes.fromhex("a35c19e7")


def masked(payload, mask=MASK):
    count = len(payload)
    pad = (mask * (count // 4 + 1))[:count]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(count, "big")


def head(opcode, count, mask=None):
    """The head of a final frame."""
    bit = 0x80 if mask else 0
    if count < 126:
        found = struct.pack(">BB", 0x80 | opcode, bit | count)
    elif count < 65536:
        found = struct.pack(">BBH", 0x80 | opcode, bit | 126, count)
    else:
        found = struct.pack(">BBQ", 0x80 | opcode, bit | 127, count)
    return found + (mask or b"")


def frame(opcode, payload):
    return head(opcode, len(payload), MASK) + masked(payload)


class Frames:
    """What a server sent, cut into frames."""

    def __init__(self):
        self.rest = b""

    def take(self, block):
        """The whole frames so far, as (opcode, payload)."""
        data, at, found = self.rest + block, 0, []
        while len(data) - at >= 2:
            length, start = data[at + 1] & 127, at + 2
            if length == 126:
                if len(data) - at < 4:
                    break
                length, start = struct.unpack_from(">H", data, at + 2)[0], at + 4
            elif length == 127:
                if len(data) - at < 10:
                    break
                length, start = struct.unpack_from(">Q", data, at + 2)[0], at + 10
            if len(data) - start < length:
                break
            found.append((data[at] & 15, data[start : start + length]))
            at = start + length
        self.rest = data[at:]
        return found


class Link:
    """One WebSocket to 127.0.0.1; blocking until `hurry` is called."""

    def __init__(self, port, path, key, trust=None, source=None):
        self.frames = Frames()
        self.waiting = []
        wire = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=source)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire = trust.wrap_socket(wire, server_hostname="127.0.0.1") if trust else wire
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.wire.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        )
        self.path, self.answer = path, b""

    def joined(self):
        """Waits for the end of the handshake."""
        while b"\r\n\r\n" not in self.answer:
            block = self.wire.recv(65536)
            if not block:
                raise Failed(f"{self.path}: closed in the handshake after {self.answer[:200]!r}")
            self.answer += block
        answer, _, rest = self.answer.partition(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101"):
            raise Failed(f"{self.path}: {self.answer[:400]!r}")
        self.waiting = self.frames.take(rest)
        return self

    def say(self, message):
        self.wire.sendall(frame(TEXT, json.dumps(message).encode()))

    def hear(self, kind, seconds=20):
        """The next text message of this type; other frames before it are passed over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            while self.waiting:
                opcode, payload = self.waiting.pop(0)
                if opcode == CLOSE:
                    raise Failed(f"{self.path}: closed: {payload!r}")
                if opcode == TEXT and (message := json.loads(payload)).get("type") == kind:
                    return message
            block = self.wire.recv(65536)
            if not block:
                raise Failed(f"{self.path}: closed while waiting for {kind}")
            self.waiting += self.frames.take(block)
        raise Failed(f"{self.path}: no {kind} within {seconds} s")

    def hurry(self):
        self.wire.setblocking(False)

    def send_some(self, block):
        """Bytes taken; 0 where the socket is full."""
        try:
            return self.wire.send(block)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def receive_some(self, count=1 << 18):
        """Bytes that are there; nothing where there are none."""
        try:
            block = self.wire.recv(count)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        if not block:
            raise Failed(f"{self.path}: closed by the server")
        return block

    def close(self):
        self.wire.close()


class Worker(Link):
    """A worker that stands alone, as far as relaying needs one."""

    def __init__(self, side, token, name):
        super().__init__(side.port, "/v1/worker", token, side.trust)
        self.joined()
        self.name = name
        self.say({"type": "hello", "workerId": name, "version": "0", "capabilities": ["tcp"], "protocol": 1, "attempts": []})
        self.hear("ack")
        self.say({"type": "ready", "slots": 1})

    def viewer(self, side):
        """A viewer of a port of this worker, and the channel's number."""
        viewer = Link(side.port, f"/v1/workers/{self.name}/tcp?port=8080", side.key, side.trust)
        try:
            channel = self.hear("connect")["channel"]
        except Failed:
            # The viewer's answer says why.
            viewer.joined()
            raise
        self.say({"type": "connected", "channel": channel})
        return viewer.joined(), channel
