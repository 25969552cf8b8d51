"""The server's memory and sockets while something goes on, and what its other clients feel meanwhile."""

import pathlib
import subprocess
import sys
import threading
import time

from measure import anonymous_kilobytes, quantile, sockets

HERE = pathlib.Path(__file__).parent


class Peak(threading.Thread):
    """Samples RssAnon until `stop`."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.kilobytes, self.ended = pid, 0, threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(0.05):
            self.kilobytes = max(self.kilobytes, anonymous_kilobytes(self.pid))

    def stop(self):
        self.ended.set()
        self.join()
        return max(self.kilobytes, anonymous_kilobytes(self.pid))


class Neighbour:
    """The well-behaved client, a process of its own so that this one's work does not slow it."""

    def __init__(self, port, path, key, folder):
        self.lines = pathlib.Path(folder, "neighbour")
        with open(self.lines, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "neighbour.py"), str(port), path, key], stdout=output
            )

    def between(self, begin, end):
        """Latencies in milliseconds of the requests begun in this time, and the failures."""
        took, failures = [], []
        for line in self.lines.read_text().splitlines():
            began, _, outcome = line.partition(" ")
            if not begin <= float(began) < end:
                continue
            if outcome.startswith("failed"):
                failures.append(outcome)
            else:
                took.append(float(outcome) * 1000)
        return took, failures

    def close(self):
        self.process.kill()
        self.process.wait()


def felt(took):
    """Median and 99th percentile in milliseconds."""
    return (quantile(took, 0.5), quantile(took, 0.99)) if took else (float("inf"), float("inf"))


def wait_until_gone(pid, before, seconds, meanwhile=None):
    """Seconds until the server holds no more sockets than before; None when it still does after `seconds`."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if sockets(pid) <= before:
            return time.monotonic() - begin
        if meanwhile:
            meanwhile()
        time.sleep(0.1)
    return None
