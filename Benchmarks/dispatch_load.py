"""Executions through the shipped dispatcher, over real sockets: clients that create them and workers that end them at once.

The workers speak protocol 1 as Berth's own does for an empty run: `started`, then `complete` with the marks of two empty
streams, and the server's `forget` says that the end is stored. They answer the attempt that they were given: an execution
that an earlier crew left open comes again as another one.
"""

import hashlib
import json
import re
import select
import socket
import time

from berth_server import Failed
from http_load import request
from measure import seconds_used
from sides import WORKER_TOKEN
from websocket_link import CLOSE, PING, PONG, TEXT, Link, head

# A mask of zeros leaves the payload as it is: allowed, and nothing for the generator to do.
PLAIN = bytes(4)
MARK = {"totalBytes": 0, "headBytes": 0, "tailBytes": 0, "sha256": hashlib.sha256().hexdigest()}
REPORT = {"outcome": "completed", "exitCode": 0, "durationMs": 1, "stdout": MARK, "stderr": MARK}
ID_LENGTH = 31
ATTEMPT = re.compile(rb'"attempt":(\d+)')
# The documented request: it runs on a worker that stands alone.
BODY = json.dumps({"personaId": "bench", "prompt": "nothing"}).encode()


def text_frame(payload):
    count = len(payload)
    if count < 126:
        return bytes((0x81, 0x80 | count)) + PLAIN + payload
    return bytes((0x81, 0xFE)) + count.to_bytes(2, "big") + PLAIN + payload


def pieces(message):
    """The frame of `message` before and behind the execution's id."""
    text = json.dumps({"executionId": "?" * ID_LENGTH, **message}, separators=(",", ":")).encode()
    before, after = text_frame(text).split(b"?" * ID_LENGTH)
    return before, after


class EmptyWorker(Link):
    """A worker that stands alone and whose runs end as soon as they begin."""

    def __init__(self, side, name, slots):
        super().__init__(side.port, "/v1/worker", WORKER_TOKEN, side.trust)
        self.joined()
        self.slots, self.assigned_at = slots, {}
        self.open, self.ended = {}, 0
        self.notes_times = False
        self.out = b""
        self.say({"type": "hello", "workerId": name, "version": "0", "capabilities": [], "protocol": 1, "attempts": []})
        self.hear("ack")
        self.answers = {}

    def ready(self):
        self.say({"type": "ready", "slots": self.slots})
        self.hurry()

    def pong(self, payload):
        self.out += head(PONG, len(payload), PLAIN) + payload

    def ends(self, attempt):
        """The frames that answer an assignment, before, between and behind its id."""
        if attempt not in self.answers:
            started = pieces({"type": "started", "attempt": attempt})
            complete = pieces(
                {"type": "complete", "attempt": attempt, "status": "completed", "exitCode": 0, "durationMs": 1,
                 "report": REPORT}
            )
            self.answers[attempt] = started[0], started[1] + complete[0], complete[1]
        return self.answers[attempt]

    def step(self):
        """Takes what has come and answers it."""
        answers = []
        for opcode, payload in self.waiting + self.frames.take(self.receive_some()):
            if opcode == CLOSE:
                raise Failed(f"{self.path}: closed: {payload!r}")
            if opcode == PING:
                self.pong(payload)
            if opcode != TEXT:
                continue
            at = payload.find(b'"executionId":"')
            if payload.find(b'"type":"assign"') >= 0:
                name = payload[at + 15 : at + 15 + ID_LENGTH]
                if self.notes_times:
                    self.assigned_at[name] = time.perf_counter()
                attempt = int(ATTEMPT.search(payload)[1])
                self.open[name] = attempt
                first, middle, last = self.ends(attempt)
                answers += (first, name, middle, name, last)
            elif payload.find(b'"type":"forget"') >= 0:
                # Another attempt's, or said again, is no end.
                name = payload[at + 15 : at + 15 + ID_LENGTH]
                if self.open.get(name) == int(ATTEMPT.search(payload)[1]):
                    del self.open[name]
                    self.ended += 1
        self.waiting = []
        self.out += b"".join(answers)
        if self.out:
            self.out = self.out[self.send_some(self.out) :]


class Workers:
    """`count` workers of `slots` each, watched together."""

    def __init__(self, side, count, slots, prefix="load"):
        self.workers = {}
        self.poll = select.epoll()
        for number in range(count):
            worker = EmptyWorker(side, f"{prefix}-{number}", slots)
            self.workers[worker.wire.fileno()] = worker

    @property
    def ended(self):
        return sum(worker.ended for worker in self.workers.values())

    def ready(self):
        for descriptor, worker in self.workers.items():
            worker.ready()
            self.poll.register(descriptor, select.EPOLLIN)

    def step(self, seconds):
        for descriptor, _ in self.poll.poll(seconds):
            self.workers[descriptor].step()

    def close(self):
        for worker in self.workers.values():
            worker.close()
        self.poll.close()


class Creators:
    """`count` connections that create executions, one under way on each."""

    def __init__(self, side, count):
        self.text = request("POST", "/api/execute", side.key, BODY)
        self.links, self.poll, self.parts = {}, select.epoll(), {}
        for _ in range(count):
            link = socket.create_connection(("127.0.0.1", side.port))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links[link.fileno()] = link
            self.poll.register(link, select.EPOLLIN)
        self.begun = self.created = 0
        self.free = list(self.links)

    def start(self, limit):
        """Requests on every free connection, until `limit` have been sent in all."""
        while self.free and self.begun < limit:
            self.links[self.free.pop()].sendall(self.text)
            self.begun += 1

    def step(self, seconds):
        for descriptor, _ in self.poll.poll(seconds):
            answer = self.parts.pop(descriptor, b"") + self.links[descriptor].recv(65536)
            if b"\r\n\r\n" not in answer:
                self.parts[descriptor] = answer
                continue
            if not answer.startswith(b"HTTP/1.1 202"):
                raise Failed(f"POST /api/execute: {answer[:400]!r}")
            self.created += 1
            self.free.append(descriptor)

    def close(self):
        for link in self.links.values():
            link.close()
        self.poll.close()


def enqueue(side, count):
    """Creates `count` executions while nobody takes them."""
    creators = Creators(side, 64)
    try:
        while creators.created < count:
            creators.start(count)
            creators.step(10)
    finally:
        creators.close()


def drain(side, count, workers=4, slots=25):
    """Durable completions a second of `count` executions that wait, with `workers` times `slots` in flight."""
    enqueue(side, count)
    crew = Workers(side, workers, slots)
    try:
        used, begin = seconds_used(side.pid), time.perf_counter()
        crew.ready()
        last, moved = 0, begin
        while (ended := crew.ended) < count:
            crew.step(5)
            now = time.perf_counter()
            if ended > last:
                last, moved = ended, now
            elif now - moved > 20:
                raise Failed(f"nothing has ended for 20 s after {ended} of {count}")
        took = time.perf_counter() - begin
        return count / took, {"seconds": took, "serverMicroseconds": (seconds_used(side.pid) - used) / count * 1e6}
    finally:
        crew.close()


def enqueue_to_done(side, count, in_flight=100, workers=4, slots=25):
    """Executions a second from the request that creates them to their stored end."""
    crew, creators = Workers(side, workers, slots), Creators(side, 64)
    try:
        crew.ready()
        used, begin = seconds_used(side.pid), time.perf_counter()
        poll = select.epoll()
        poll.register(crew.poll.fileno(), select.EPOLLIN)
        poll.register(creators.poll.fileno(), select.EPOLLIN)
        while crew.ended < count:
            creators.start(min(count, crew.ended + in_flight))
            if not poll.poll(20):
                raise Failed(f"nothing has ended for 20 s after {crew.ended} of {count}")
            creators.step(0)
            crew.step(0)
        took = time.perf_counter() - begin
        poll.close()
        return count / took, {"seconds": took, "serverMicroseconds": (seconds_used(side.pid) - used) / count * 1e6}
    finally:
        crew.close()
        creators.close()


def dispatch_latency(side, count):
    """Milliseconds from the request's last byte to the assignment's arrival at an idle worker, of each in turn."""
    crew, creators = Workers(side, 1, 1), Creators(side, 1)
    times = []
    try:
        crew.ready()
        worker = next(iter(crew.workers.values()))
        worker.notes_times = True
        for number in range(count):
            begin = time.perf_counter()
            creators.start(number + 1)
            while worker.ended <= number:
                crew.step(10)
            while creators.created <= number:
                creators.step(10)
            (assigned,) = worker.assigned_at.values()
            worker.assigned_at.clear()
            times.append((assigned - begin) * 1000)
        return times
    finally:
        crew.close()
        creators.close()
