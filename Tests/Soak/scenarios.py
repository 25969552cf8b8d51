"""What clients do to the server, one scenario after the other.

Each takes the stage and a number of clients and returns how long the last of them lasted; None when one of them
outlived its deadline. `Trouble` is raised where the server answers wrongly.
"""

import select
import socket
import time

from crowd import Crowd, receive
from sides import WORKER_TOKEN
from websocket_link import PING, PONG, Frames, Worker, frame, head

# Of the server's deadlines, in seconds; the last is what the machine may be late.
HEAD, BODY, WRITE, IDLE, LATE = 10, 30, 60, 75, 6


class Trouble(Exception):
    pass


def request(stage, method, path, more=""):
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {stage.key}\r\n{more}\r\n".encode()


def last(lasted, count, deadline):
    """Seconds of the longest; None when not all `count` were closed in time."""
    longest = max(lasted.values(), default=0)
    return longest if len(lasted) == count and longest <= deadline + LATE else None


def idle_http(stage, count):
    """Kept connections after one answered request each."""
    with Crowd(stage.port, count) as crowd:
        crowd.send(request(stage, "GET", "/healthz"))
        answers = crowd.answers()
        right = sum(block.startswith(b"HTTP/1.1 200") for block in answers.values())
        if right != count:
            raise Trouble(f"{right} of {count} were answered")
        lasted, _ = crowd.closings(IDLE + LATE)
        if lasted and min(lasted.values()) < IDLE - LATE:
            raise Trouble(f"one was closed after {min(lasted.values()):.0f} s already")
        return last(lasted, count, IDLE)


def idle_websockets(stage, count):
    """Viewers of a relayed port without traffic, through one round of pings, then all gone at once."""
    worker = Worker(stage, WORKER_TOKEN, "soak")
    links, poll, frames = {}, select.epoll(), {}
    try:
        for _ in range(count):
            viewer = worker.viewer(stage)[0]
            viewer.hurry()
            links[viewer.wire.fileno()] = viewer
            frames[viewer.wire.fileno()] = Frames()
            poll.register(viewer.wire, select.EPOLLIN)
        pinged, end = set(), time.monotonic() + stage.ping_seconds
        while time.monotonic() < end:
            for descriptor, _ in poll.poll(0.1):
                block = receive(links[descriptor].wire)
                if not block:
                    raise Trouble("an idle viewer was cut off")
                for opcode, payload in frames[descriptor].take(block):
                    if opcode == PING:
                        links[descriptor].wire.send(frame(PONG, payload))
                        pinged.add(descriptor)
        if stage.expects_pings and len(pinged) != count:
            raise Trouble(f"{len(pinged)} of {count} were pinged")
    finally:
        begin = time.monotonic()
        for viewer in links.values():
            viewer.close()
        worker.close()
        poll.close()
    return stage.gone_since(begin, LATE)


def slowloris(stage, count):
    """A head that comes a byte at a time and never ends."""
    with Crowd(stage.port, count) as crowd:
        crowd.send(b"GET /v1/whoami HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        lasted, _ = crowd.closings(HEAD + LATE, every=0.5, each=lambda link: link.send(b"a"))
        return last(lasted, count, HEAD)


def slow_readers(stage, count, path):
    """A large answer of which one half of the clients reads nothing and the other a few bytes a second."""
    with Crowd(stage.port, count, receive_buffer=4096) as crowd:
        begin = time.monotonic()
        crowd.send(request(stage, "GET", path))
        stage.arrived(count)
        drinkers = list(crowd.links.values())[::2]

        def sip():
            for link in drinkers:
                try:
                    link.recv(1)
                except OSError:
                    continue

        return stage.gone_since(begin, WRITE + LATE, sip)


def slow_answer(stage, count):
    """Stored output as one large answer."""
    return slow_readers(stage, count, f"/v1/executions/{stage.execution}/output?stream=stdout")


def slow_events(stage, count):
    """Stored output as an event stream."""
    return slow_readers(stage, count, f"/v1/executions/{stage.execution}/events?raw=true")


def slow_writers(stage, count):
    """A body of which half comes; then nothing from one half of the clients, and a byte a second from the other."""
    with Crowd(stage.port, count) as crowd:
        more = "Content-Type: application/json\r\nContent-Length: 100000\r\n"
        crowd.send(request(stage, "POST", "/v1/executions", more) + b" " * 50_000)
        drip = set(list(crowd.links.values())[::2])
        lasted, read = crowd.closings(BODY + LATE, every=1, each=lambda link: link in drip and link.send(b" "))
        wrong = [block for block in read.values() if not block.startswith(b"HTTP/1.1 408")]
        if wrong:
            raise Trouble(f"answered {wrong[0][:60]!r}")
        return last(lasted, count, BODY)


def half_closed(stage, count):
    """Nothing more comes after a whole request, after half a head, after half a body, after nothing at all."""
    texts = (
        request(stage, "GET", "/v1/whoami"),
        b"GET /v1/whoami HTTP/1.1\r\nHost:",
        request(stage, "POST", "/v1/executions", "Content-Type: application/json\r\nContent-Length: 100\r\n") + b"{",
        b"",
    )
    longest = 0
    for number, text in enumerate(texts):
        with Crowd(stage.port, count // len(texts)) as crowd:
            crowd.send(text)
            for link in crowd.links.values():
                link.shutdown(socket.SHUT_WR)
            lasted, read = crowd.closings(LATE)
            right = sum(block.startswith(b"HTTP/1.1 200") for block in read.values())
            if number == 0 and right != len(crowd.links):
                raise Trouble(f"{right} of {len(crowd.links)} whole requests were answered")
            took = last(lasted, len(crowd.links), 0)
            if took is None:
                return None
            longest = max(longest, took)
    return longest


def ping_flood(stage, count):
    """Pings without end from clients that never read; pongs have nowhere to go."""
    flood = memoryview((head(PING, 125, b"abcd") + b"x" * 125) * 500)
    workers = [Worker(stage, WORKER_TOKEN, f"flood-{number}") for number in range(count)]
    stuck, at = set(), [0] * count
    try:
        for worker in workers:
            worker.hurry()
        begin = time.monotonic()
        while time.monotonic() - begin < WRITE + LATE and len(stuck) < count:
            moved = 0
            for number, worker in enumerate(workers):
                if number in stuck:
                    continue
                try:
                    # From where the last one was cut, so that every ping is whole.
                    sent = worker.wire.send(flood[at[number] :])
                    at[number] = (at[number] + sent) % len(flood)
                    moved += sent
                except BlockingIOError:
                    continue
                except OSError:
                    stuck.add(number)
            stage.flooded += moved
            if not moved:
                time.sleep(0.05)
            if stage.flooded > stage.flood_bytes:
                break
    finally:
        begin = time.monotonic()
        for worker in workers:
            worker.close()
    return stage.gone_since(begin, LATE)


def resets(stage, count):
    """Connections torn down with a reset, in each phase of a request."""
    texts = (
        b"",
        b"GET /v1/whoami HTTP/1.1\r\nHo",
        request(stage, "POST", "/v1/executions", "Content-Type: application/json\r\nContent-Length: 9000\r\n") + b"{",
        request(stage, "GET", "/v1/whoami"),
        request(stage, "GET", f"/v1/executions/{stage.execution}/output?stream=stdout"),
        request(stage, "GET", f"/v1/executions/{stage.execution}/events?raw=true"),
    )
    begin = time.monotonic()
    for text in texts:
        with Crowd(stage.port, count // len(texts)) as crowd:
            crowd.send(text)
            crowd.abort()
            begin = time.monotonic()
    return stage.gone_since(begin, LATE)
