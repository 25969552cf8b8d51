"""The two sides of a comparison: the shipped server, and a program of Node in its place."""

import os
import pathlib
import secrets
import signal
import ssl
import subprocess
import time

from berth_server import Failed, Server, processes, parent
from measure import pin

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(
    os.environ.get("BERTH_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "berth")
).expanduser()
# Where scripts/bootstrap lays Debian's packages of Express and ws.
MODULES = os.environ.get("NODE_PATH") or str(CACHE / "node/usr/share/nodejs")
WORKER_TOKEN = secrets.token_hex(16)


class Berth:
    """`berth serve` as shipped, with the local provider, pinned to `core`; its workers run beside the generator."""

    def __init__(self, cores, tls=None):
        self.cores = cores
        self.server = Server(
            # One loop, as the peers have one.
            "--set", "loops=1",
            "--set", f"workerToken={WORKER_TOKEN}", "--set", "maxConnections=100000", "--set", "maxWorkerChannels=10000",
            tls=tls,
        )
        try:
            self.server.start()
        except Failed:
            self.server.close()
            raise
        self.trust = self.server.trust
        self.port, self.key, self.pid = self.server.port, self.server.key, self.server.process.pid
        pin(self.pid, {cores[0]})

    def environment(self, name):
        """A running environment, whose processes keep off the server's core."""
        self.server.call("POST", "/v1/environments", {"name": name})
        record = self.server.environment(name)
        holders = self.server.holders()
        for pid in [*holders, *processes("berth-worker", lambda pid: parent(pid) in holders)]:
            pin(pid, {self.cores[-1]})
        return record

    def collect(self):
        """Time for the server to give back what the coming of many has freed."""
        time.sleep(12)

    def close(self):
        self.server.close()


class Node:
    """A script of `peers`, pinned to the same core."""

    def __init__(self, cores, script, tls=None, **settings):
        self.key = "berth_peer_" + secrets.token_hex(16)
        variables = {**os.environ, **settings, "NODE_ENV": "production", "NODE_PATH": MODULES, "PEER_KEY": self.key}
        self.trust = None
        if tls:
            variables |= {"PEER_CERTIFICATE": str(tls[0]), "PEER_CERTIFICATE_KEY": str(tls[1])}
            self.trust = ssl.create_default_context(cafile=str(tls[0]))
        self.process = subprocess.Popen(
            ["node", "--expose-gc", str(HERE / "peers" / script)], stdout=subprocess.PIPE, env=variables,
        )
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise Failed(f"{script} does not start; scripts/bootstrap installs what it needs")
        self.port, self.pid = int(line), self.process.pid
        pin(self.pid, {cores[0]})

    def collect(self):
        """Twice, and time for what the collector gives back later."""
        for _ in range(2):
            self.process.send_signal(signal.SIGUSR2)
            time.sleep(1)

    def close(self):
        self.process.kill()
        self.process.wait()
