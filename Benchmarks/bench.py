#!/usr/bin/env python3
"""Ratios of the shipped server to a peer, bare node:http, in one run on one machine.

Compared is processor time of the server's process (user and system, from /proc), not throughput, so that the generator
and its neighbours do not count. Server and peer are pinned to one core, the generator to another. In the fan-out the
peer reads its child's pipe itself; Berth's server also stores every byte, its worker is a process of its own.
"""

import json
import os
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import time

from berth_server import Failed, Server

REQUESTS = int(os.environ.get("BENCH_REQUESTS", "20000"))
REPEATS = int(os.environ.get("BENCH_REPEATS", "5"))
CONNECTIONS = 16
VIEWERS = 100
LINES = 600
TICKS = os.sysconf("SC_CLK_TCK")
# The first line comes when all viewers are there.
WRITER = (
    "import sys,time\ntime.sleep(2)\n"
    f"for n in range({LINES}):\n    sys.stdout.write('%06d ' % n + 'x' * 80 + '\\n'); sys.stdout.flush(); time.sleep(0.005)\n"
)


def seconds_used(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pin(pid, core):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})


class Berth:
    def __init__(self):
        self.server = Server()
        self.server.start()
        self.server.call("POST", "/v1/environments", {"name": "bench", "provider": os.environ.get("BENCH_PROVIDER", "local")})
        self.server.environment("bench")
        self.port, self.key, self.pid = self.server.port, self.server.key, self.server.process.pid

    def begin(self):
        ident = self.server.create(["python3", "-c", WRITER], "bench")
        return f"/v1/executions/{ident}/events?raw=true&streams=stdout"

    def close(self):
        self.server.close()


class Peer:
    def __init__(self):
        self.key = "berth_peer_0123456789abcdef0123456789abcdef"
        script = str(pathlib.Path(__file__).with_name("peer.js"))
        self.process = subprocess.Popen(["node", script], stdout=subprocess.PIPE, env={**os.environ, "PEER_KEY": self.key})
        self.port, self.pid = int(self.process.stdout.readline()), self.process.pid

    def begin(self):
        body = json.dumps(["python3", "-c", WRITER]).encode()
        with socket.create_connection(("127.0.0.1", self.port)) as link:
            link.sendall(request("POST", "/begin", self.key, body))
            link.recv(4096)
        return "/events"

    def close(self):
        self.process.kill()
        self.process.wait()


def request(method, path, key, body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def gets(side, path):
    """Microseconds of processor time per GET, over kept connections with one request under way on each."""
    text = request("GET", path, side.key)
    links = {}
    poll = select.epoll()
    for _ in range(CONNECTIONS):
        link = socket.create_connection(("127.0.0.1", side.port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        links[link.fileno()] = link
        poll.register(link, select.EPOLLIN)

    def run(count):
        sent = done = 0
        for link in links.values():
            link.sendall(text)
            sent += 1
        while done < count:
            for descriptor, _ in poll.poll(10):
                answer = links[descriptor].recv(65536)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise Failed(f"GET {path}: {answer[:200]!r}")
                done += 1
                if sent < count:
                    links[descriptor].sendall(text)
                    sent += 1

    run(2000)
    before = seconds_used(side.pid)
    run(REQUESTS)
    used = seconds_used(side.pid) - before
    for link in links.values():
        link.close()
    return used / REQUESTS * 1e6


def fan_out(side):
    """Microseconds of processor time per line and viewer, for lines paced 5 ms apart."""
    path = side.begin()
    text = request("GET", path, side.key)
    poll, links = select.epoll(), {}
    for _ in range(VIEWERS):
        link = socket.create_connection(("127.0.0.1", side.port))
        link.sendall(text)
        links[link.fileno()] = [link, 0]
        poll.register(link, select.EPOLLIN)
    time.sleep(0.5)
    before, ended = seconds_used(side.pid), 0
    deadline = time.monotonic() + 60
    while ended < VIEWERS:
        if time.monotonic() > deadline:
            raise Failed(f"fan-out: {ended} of {VIEWERS} viewers saw the end")
        for descriptor, _ in poll.poll(10):
            block = links[descriptor][0].recv(1 << 16)
            links[descriptor][1] += len(block)
            if not block or b"event: end" in block or b"event:end" in block:
                ended += 1
                poll.unregister(descriptor)
    used = seconds_used(side.pid) - before
    for link, count in links.values():
        if count < LINES * 80:
            raise Failed(f"fan-out: a viewer saw {count} bytes only")
        link.close()
    return used / (LINES * VIEWERS) * 1e6


def row(name, measure, ours, peer, repeats):
    # In turns, so that what else the machine does falls on both.
    pairs = [(measure(ours), measure(peer)) for _ in range(repeats)]
    mine, theirs = (statistics.median(side) for side in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:<44} {mine:>8.2f} {theirs:>8.2f} {ratio:>7.2f}", flush=True)


def main():
    cores = sorted(os.sched_getaffinity(0))
    ours, peer = Berth(), Peer()
    try:
        for side in (ours, peer):
            pin(side.pid, cores[0])
        os.sched_setaffinity(0, {cores[-1]})
        version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
        print(f"peer: bare node:http, Node {version}; load average {os.getloadavg()[0]:.1f}")
        print(f"{'processor time, microseconds':<44} {'ours':>8} {'peer':>8} {'ratio':>7}")
        row("GET JSON, open", lambda side: gets(side, "/healthz"), ours, peer, REPEATS)
        row("GET JSON with authorization", lambda side: gets(side, "/v1/whoami"), ours, peer, REPEATS)
        row(f"a line to a viewer, {VIEWERS} viewers", fan_out, ours, peer, 3)
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 2
    finally:
        ours.close()
        peer.close()
    return 0


sys.exit(main())
