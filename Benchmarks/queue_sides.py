"""What executions per second are measured on: the shipped server over SQLite or PostgreSQL, and BullMQ over Redis."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from berth_server import Failed, Server
from sides import CACHE, HERE, WORKER_TOKEN

POSTGRES = HERE.parent / "Tests" / "Support" / "Peers" / "postgres.sh"
# Where scripts/bootstrap lays the Python port and what it loads.
BULLMQ = CACHE / "python" / "bullmq"


class Dispatcher:
    """`berth serve` as shipped, all its loops on all cores; `database` is the URL of another than SQLite."""

    def __init__(self, database=None):
        self.trust = None
        self.server = Server(
            "--set", f"workerToken={WORKER_TOKEN}", "--set", "maxConnections=20000",
            variables={"BERTH_DATABASE": database} if database else None,
        )
        try:
            self.server.start()
        except Failed:
            self.server.close()
            raise
        self.port, self.key, self.pid = self.server.port, self.server.key, self.server.process.pid

    def close(self):
        self.server.close()


class Postgres:
    """A cluster of its own with every commit on the disk before it is answered."""

    SETTINGS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="berth-bench-pg-")
        os.chmod(self.folder, 0o755)
        self.process = subprocess.Popen(
            ["sh", str(POSTGRES), self.folder, *self.SETTINGS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.process.stdout.readline().strip() != "up":
            self.close()
            raise Failed("PostgreSQL does not start; scripts/bootstrap installs it")
        self.url = f"postgres:///postgres?host={self.folder}&user=berth"

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Redis:
    """A server of its own that appends every change to its file; `fsync` is its `appendfsync`."""

    def __init__(self, fsync):
        self.folder = tempfile.TemporaryDirectory(prefix="berth-bench-redis-")
        self.socket = pathlib.Path(self.folder.name) / "socket"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "yes",
             "--appendfsync", fsync, "--dir", self.folder.name],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise Failed("redis-server does not start; scripts/bootstrap installs it")
            time.sleep(0.01)

    def close(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()


SERVICE = HERE.parent / ".build" / "static" / "release" / "dispatch-bench"


def service(postgres, count):
    """The services alone, no HTTP and no sockets: what `dispatch-bench` found on SQLite, or on a cluster, by row, commits and
    whether it was one organization."""
    if not SERVICE.exists():
        raise Failed("dispatch-bench is not built; make bench does")
    with tempfile.TemporaryDirectory(prefix="berth-bench-service-") as folder:
        place = postgres.url if postgres else f"sqlite:{folder}/berth.sqlite"
        done = subprocess.run(
            [str(SERVICE), place, f"{folder}/output", str(count)], capture_output=True, text=True, timeout=300,
        )
    if done.returncode != 0:
        raise Failed(f"dispatch-bench: {done.stderr[-500:]}")
    found = map(json.loads, done.stdout.splitlines())
    return {(line["row"], line["commits"], line["organizations"] == 1): line for line in found}


def bullmq(redis, count, in_flight):
    """Jobs a second of BullMQ's Python port."""
    environment = {**os.environ, "PYTHONPATH": str(BULLMQ)}
    done = subprocess.run(
        [sys.executable, str(HERE / "peers" / "bullmq_load.py"), str(redis.socket), str(count), str(in_flight)],
        env=environment, capture_output=True, text=True, timeout=300,
    )
    if done.returncode != 0:
        raise Failed(f"BullMQ: {done.stderr[-500:]}")
    return count / float(done.stdout), {"operations": count}
