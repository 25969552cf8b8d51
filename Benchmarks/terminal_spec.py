"""Rows of the numeric specification about terminals."""

import getpass
import os
import pathlib
import pty
import random
import selectors
import socket
import struct
import subprocess
import tempfile
import time
import tty

from berth_server import BIN, Failed, Server, parent, processes
from measure import anonymous_kilobytes, median, quantile
from websocket_link import BINARY, CLOSE, Link, frame

ATTACHED, TYPING = 200, 10
KEYS = int(os.environ.get("SPEC_KEYS", "2000"))
REPLAY = 1 << 20
BURST = 256 << 20
DATA, INPUT = 1, 16
# Echoes byte by byte, as a program in raw mode does.
ECHO = "stty raw -echo; exec cat"
# As much as a terminal takes, one second in three: a build that prints.
BURSTING = "stty raw; while :; do timeout 1 cat /dev/zero; sleep 2; done"


class Screen(Link):
    """One attached terminal."""

    def __init__(self, server, terminal, offset=0, wants="&columns=80&rows=24"):
        path = f"/v1/environments/spec/terminals/{terminal}/attach?offset={offset}{wants}"
        super().__init__(server.port, path, server.key)
        self.stream = b""
        self.joined()

    def type(self, payload):
        self.wire.sendall(frame(BINARY, struct.pack(">BI", INPUT, len(payload)) + payload))

    def output(self, found):
        """The terminal's bytes in these frames."""
        for opcode, payload in found:
            if opcode == CLOSE:
                raise Failed(f"{self.path}: closed: {payload!r}")
            if opcode == BINARY:
                self.stream += payload
        shown = []
        while len(self.stream) >= 5:
            kind, count = struct.unpack_from(">BI", self.stream)
            if len(self.stream) < 5 + count:
                break
            if kind == DATA:
                shown.append(self.stream[13 : 5 + count])
            self.stream = self.stream[5 + count :]
        return b"".join(shown)

    def read(self):
        """What was shown since; waits for something."""
        found, self.waiting = self.waiting, []
        if not found:
            block = self.wire.recv(1 << 18)
            if not block:
                raise Failed(f"{self.path}: closed by the server")
            found = self.frames.take(block)
        return self.output(found)


class Bare:
    """The same program on a terminal of this process's own."""

    def __init__(self):
        self.child, self.wire = pty.fork()
        if self.child == 0:
            os.execvp("sh", ["sh", "-c", ECHO])
        tty.setraw(self.wire)

    def type(self, payload):
        os.write(self.wire, payload)

    def read(self):
        return os.read(self.wire, 1 << 16)

    def close(self):
        os.close(self.wire)
        os.kill(self.child, 9)
        os.waitpid(self.child, 0)


def opened(server, name, script):
    body = {"name": name, "command": ["sh", "-c", script], "columns": 80, "rows": 24}
    return server.call("POST", "/v1/environments/spec/terminals", body)["id"]


def settled(pids):
    """Their anonymous memory together, in KB, once it grows no more."""
    sizes = [-1]
    for _ in range(20):
        sizes.append(sum(anonymous_kilobytes(pid) for pid in pids))
        if sizes[-1] == sizes[-2]:
            break
        time.sleep(0.5)
    return sizes[-1]


def inside(server):
    """Berth's own processes in the environment."""
    holders = server.holders()
    return list(holders) + processes("berth-worker", lambda pid: parent(pid) in holders)


def typed(screens, bare):
    """Milliseconds from each key to its echo: through Berth, and on the bare terminal. Keys come to all in turn, 25 ms
    apart, a person's pace for each of them."""
    watched = selectors.DefaultSelector()
    for one in screens + [bare]:
        watched.register(one.wire, selectors.EVENT_READ, one)
    ours, theirs, since = [], [], {}
    dice = random.Random(6)
    places = screens * 2 + [bare] * 2
    pause = 0.25 / len(places) * 2
    for number in range(KEYS):
        one = places[number % len(places)]
        if one in since:
            raise Failed("a key was not echoed before the next")
        since[one] = time.perf_counter()
        one.type(bytes([97 + number % 26]))
        until = time.perf_counter() + pause * dice.uniform(0.5, 1.5)
        while since or time.perf_counter() < until:
            left = until - time.perf_counter()
            for key, _ in watched.select(max(0, left) if not since else 5):
                if key.data.read() and key.data in since:
                    (theirs if key.data is bare else ours).append((time.perf_counter() - since.pop(key.data)) * 1000)
            if since and time.perf_counter() > until + 5:
                raise Failed("a key was not echoed within 5 s")
    watched.close()
    return ours, theirs


DRAIN = """
import socket, sys
wire = socket.socket(fileno=int(sys.argv[1]))
while wire.recv(1 << 20): pass
"""


def terminals(row):
    server = Server()
    screens, drain, bare = [], None, None
    try:
        server.start()
        server.call("POST", "/v1/environments", {"name": "spec", "provider": "host"})
        server.environment("spec")
        Screen(server, opened(server, "first", ECHO)).close()
        time.sleep(1)
        before, below = settled([server.process.pid]), settled(inside(server))
        ids = [opened(server, f"t{number}", ECHO) for number in range(ATTACHED - 1)]
        screens = [Screen(server, one) for one in ids]
        row("idle attached terminal, in the environment", (settled(inside(server)) - below) / len(ids), "KB", 200)
        row("idle attached terminal, on the server", (settled([server.process.pid]) - before) / len(ids), "KB", 10)
        # Cats, and the shells that became them, are read once so that their first echo costs nothing more.
        for one in screens[:TYPING]:
            one.type(b"a")
            while not one.read():
                pass
        bare = Bare()
        time.sleep(0.3)
        burst = Screen(server, opened(server, "burst", BURSTING))
        burst.wire.settimeout(None)
        drain = subprocess.Popen(
            ["python3", "-c", DRAIN, str(burst.wire.fileno())], pass_fds=[burst.wire.fileno()]
        )
        ours, theirs = typed(screens[:TYPING], bare)
        row("echo added, 200 attached, 1 bursting, p50", median(ours) - median(theirs), "ms", 2)
        row("echo added, 200 attached, 1 bursting, p99", quantile(ours, 0.99) - quantile(theirs, 0.99), "ms", 15)
        print(f"  with Berth {median(ours):.2f} and {quantile(ours, 0.99):.2f} ms, bare {median(theirs):.2f} and "
              f"{quantile(theirs, 0.99):.2f} ms", flush=True)
        server.call("DELETE", "/v1/environments/spec/terminals/burst")
    finally:
        if drain:
            drain.kill()
            drain.wait()
        if bare:
            bare.close()
        for one in screens:
            one.close()
        server.close()


def replay(row):
    """From the request to the last of the newest megabyte, on a terminal with much more."""
    server = Server()
    try:
        server.start()
        server.call("POST", "/v1/environments", {"name": "spec", "provider": "host"})
        server.environment("spec")
        terminal = opened(server, "long", f"stty raw -echo; head -c {8 * REPLAY} /dev/urandom; exec cat")
        until = time.monotonic() + 30
        while server.call("GET", f"/v1/environments/spec/terminals/{terminal}")["endByte"] < 8 * REPLAY:
            if time.monotonic() > until:
                raise Failed("the terminal was not filled")
            time.sleep(0.02)
        times = []
        for _ in range(15):
            begin = time.perf_counter()
            screen = Screen(server, terminal, offset=-REPLAY)
            shown = 0
            while shown < REPLAY:
                shown += len(screen.read())
            times.append((time.perf_counter() - begin) * 1000)
            screen.close()
        row("re-attach with 1 MB of replay, p50", median(times), "ms", 50)
        row("re-attach with 1 MB of replay, max", max(times), "ms", 50)
    finally:
        server.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Localhost:
    """OpenSSH's own server on the loopback, and its client."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for name in ("host", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        port = free_port()
        options = [
            f"Port={port}", "ListenAddress=127.0.0.1", f"HostKey={folder / 'host'}", "PidFile=none", "UsePAM=no",
            f"AuthorizedKeysFile={folder / 'client.pub'}", "StrictModes=no", "PermitRootLogin=yes",
        ]
        self.process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-f", "/dev/null"] + [word for one in options for word in ("-o", one)],
            stderr=subprocess.DEVNULL,
        )
        self.call = [
            "ssh", "-F", "/dev/null", "-q", "-tt", "-p", str(port), "-i", str(folder / "client"),
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes",
            f"{getpass.getuser()}@127.0.0.1",
        ]
        until = time.monotonic() + 10
        while subprocess.run(self.call + ["true"], stdin=subprocess.DEVNULL, capture_output=True).returncode:
            if time.monotonic() > until:
                raise Failed("sshd does not answer")
            time.sleep(0.05)

    def close(self):
        self.process.terminate()
        self.process.wait()


def speed(call, variables=None):
    """Megabytes a second of a burst on a terminal, read from the client's standard output."""
    begin = time.perf_counter()
    client = subprocess.Popen(
        call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables
    )
    count = 0
    while block := client.stdout.read1(1 << 20):
        count += len(block)
    took = time.perf_counter() - begin
    client.stdin.close()
    client.wait()
    if count < BURST:
        raise Failed(f"{count} bytes came of {BURST}")
    return count / took / 1e6


def burst(row):
    """The CLI against OpenSSH's client, each with its own server on the loopback, in turn."""
    script = f"stty raw; exec head -c {BURST} /dev/zero"
    server = Server()
    with tempfile.TemporaryDirectory() as folder:
        other = None
        try:
            other = Localhost(folder)
            server.start()
            server.call("POST", "/v1/environments", {"name": "spec", "provider": "host"})
            server.environment("spec")
            variables = {**os.environ, "BERTH_DATA": str(server.data)}
            ours, theirs = [], []
            for _ in range(3):
                call = [str(BIN / "berth"), "terminal", "open", "spec", "--server", server.url, "--"]
                ours.append(speed(call + ["sh", "-c", script], variables))
                theirs.append(speed(other.call + [script]))
            row("terminal burst, of `ssh localhost`", median(ours) / median(theirs), "times", 1, at_least=True)
            print(f"  with Berth {median(ours):.0f} MB/s, ssh {median(theirs):.0f} MB/s", flush=True)
        finally:
            if other:
                other.close()
            server.close()


PARTS = [terminals, replay, burst]
