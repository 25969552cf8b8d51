#!/usr/bin/env python3
"""Idle, slow and hostile clients by the hundred and the ten thousand against the shipped server with its own limits.

    soak.py [--only PART]… [--small] [--json]

Of each scenario: the server's anonymous memory before, at its peak and after; what a client that behaves felt meanwhile
beside what it feels in quiet; how long the last of the crowd lasted. All traffic stays on loopback and ends by itself.
`--small` takes a tenth of the clients, and leaves out the scenarios that wait for a deadline of half a minute or more.

Exit status: 0 when every scenario is right, 1 when one is not, 2 when one could not be run.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "Benchmarks"))

from berth_server import Failed, Server
from measure import anonymous_kilobytes, sockets
from sides import WORKER_TOKEN

import scenarios
from scenarios import BODY, HEAD, IDLE, WRITE, Trouble
from watch import Neighbour, Peak, felt, wait_until_gone

OUTPUT_BYTES = 64 << 20
# Megabytes that may stay after a scenario, over and above what came before, and the seconds that the server has to give
# the rest back: 4 are left with the allocator, and the first crowd opens the database's four reading handles, some 2 each.
KEPT, RETURN = 16, 15
# What a request of a client that behaves may take at the 99th percentile: so many ms, or so many times its quiet time.
FELT, TIMES = 50, 10
# With `--small` the machine has other work besides.
SMALL_FELT = 2000


@dataclasses.dataclass
class Scenario:
    run: object
    count: int
    # Seconds after which the last of the crowd must be gone.
    deadline: float
    # KiB of anonymous memory that one client may cost at the peak.
    each: float
    quick: bool

    @property
    def name(self):
        return self.run.__name__.replace("_", " ")


SCENARIOS = [
    Scenario(scenarios.idle_http, 10_000, IDLE, 8, False),
    Scenario(scenarios.idle_websockets, 10_000, 0, 8, True),
    Scenario(scenarios.slowloris, 200, HEAD, 32, True),
    Scenario(scenarios.slow_answer, 200, WRITE, 640, False),
    Scenario(scenarios.slow_events, 200, WRITE, 1024, False),
    Scenario(scenarios.slow_writers, 200, BODY, 512, False),
    Scenario(scenarios.half_closed, 400, 0, 32, True),
    Scenario(scenarios.ping_flood, 20, WRITE, 512, True),
    Scenario(scenarios.resets, 3000, 0, 64, True),
]


class Stage:
    """The server under soak and what the scenarios need of it."""

    trust = None

    def __init__(self):
        self.server = Server(
            "--set", f"workerToken={WORKER_TOKEN}", "--set", "maxConnections=24000", "--set", "maxWorkerChannels=12000",
        )

    def prepare(self, small):
        """Starts the server and stores an output."""
        self.server.start()
        self.felt = SMALL_FELT if small else FELT
        self.port, self.key, self.pid = self.server.port, self.server.key, self.server.process.pid
        self.ping_seconds, self.expects_pings = (2, False) if small else (45, True)
        self.flood_bytes = (64 << 20) if small else (1 << 30)
        self.flooded = 0
        self.open = 0
        self.record = self.environment()
        ended = self.server.run(
            ["sh", "-c", f"head -c {OUTPUT_BYTES} /dev/zero | tr '\\0' 'x'"], self.record["id"],
            config={"maxOutputBytes": OUTPUT_BYTES},
        )
        if ended["status"] != "completed":
            raise Failed(f"the run that writes ended as {ended['status']}: {ended.get('failure')}")
        self.execution = ended["id"]
        # Calls of the setting up are over; from here on every socket more is the crowd's.
        self.server.connection.close()
        self.server.connection = None

    def environment(self):
        self.server.call("POST", "/v1/environments", {"name": "soak", "provider": os.environ.get("SOAK_PROVIDER", "local")})
        return self.server.environment("soak")

    def arrived(self, count):
        """Waits until the server has taken the crowd's connections, not only the kernel."""
        end = time.monotonic() + 20
        while sockets(self.pid) < self.open + count:
            if time.monotonic() > end:
                raise Trouble(f"{sockets(self.pid) - self.open} of {count} connections were taken")
            time.sleep(0.05)

    def gone_since(self, begin, seconds, meanwhile=None):
        """Seconds from `begin` until the server holds no more sockets than before the crowd came."""
        if wait_until_gone(self.pid, self.open, begin + seconds - time.monotonic(), meanwhile) is None:
            return None
        return time.monotonic() - begin

    def close(self):
        self.server.close()


def soaked(stage, neighbour, scenario, count):
    """One scenario and its verdict, as a dictionary for people and programs."""
    time.sleep(1)
    stage.open, before = sockets(stage.pid), anonymous_kilobytes(stage.pid) / 1024
    quiet_begin = time.monotonic()
    time.sleep(2)
    begin, peak, wrong = time.monotonic(), Peak(stage.pid), []
    gone = None
    try:
        gone = scenario.run(stage, count)
        if gone is None:
            wrong.append(f"not all were gone in time ({sockets(stage.pid) - stage.open} sockets are left)")
    except Trouble as trouble:
        wrong.append(str(trouble))
    # Long enough for the neighbour to have felt it.
    time.sleep(max(0, begin + 1 - time.monotonic()))
    end = time.monotonic()
    top = peak.stop() / 1024
    if wait_until_gone(stage.pid, stage.open, 20) is None:
        wrong.append(f"{sockets(stage.pid) - stage.open} sockets are still open 20 s later")
    returned = time.monotonic() + RETURN
    while (after := anonymous_kilobytes(stage.pid) / 1024) > before + KEPT and time.monotonic() < returned:
        time.sleep(0.5)
    quiet, _ = neighbour.between(quiet_begin, begin)
    took, failures = neighbour.between(begin, end)
    each = (top - before) * 1024 / count
    if each > scenario.each and top - before > KEPT:
        wrong.append(f"a client costs {each:.1f} KiB, over {scenario.each:g}")
    if after - before > KEPT:
        wrong.append(f"{after - before:.1f} MB more than before are kept")
    if failures:
        wrong.append(f"the neighbour failed {len(failures)} times: {failures[0]}")
    if felt(took)[1] > max(stage.felt, TIMES * felt(quiet)[1]):
        wrong.append("the neighbour waits")
    return {
        "scenario": scenario.name, "clients": count, "beforeMB": before, "peakMB": top, "afterMB": after,
        "eachKiB": each, "quietMs": felt(quiet), "meanwhileMs": felt(took), "goneAfter": gone,
        "deadline": scenario.deadline, "wrong": wrong,
    }


def line(found):
    gone = "-" if found["goneAfter"] is None else f"{found['goneAfter']:.1f}"
    quiet, meanwhile = ("{:.1f}/{:.1f}".format(*found[name]) for name in ("quietMs", "meanwhileMs"))
    return (
        f"{found['scenario']:<16} {found['clients']:>7} {found['beforeMB']:>7.1f} {found['peakMB']:>7.1f} "
        f"{found['afterMB']:>7.1f} {found['eachKiB']:>8.1f} {quiet:>10} {meanwhile:>12} {gone:>6} {found['deadline']:>5g}  "
        + ("; ".join(found["wrong"]) or "ok")
    )


def allow_descriptors(count):
    """For this process and the server that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        except (ValueError, PermissionError):
            raise Failed(f"{count} descriptors are needed, {hard} are allowed (ulimit -Hn)")
    elif soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def main():
    parser = argparse.ArgumentParser(description="Idle, slow and hostile clients against the shipped server.")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="scenarios whose name contains PART")
    parser.add_argument("--small", action="store_true", help="a tenth of the clients, no long deadlines")
    parser.add_argument("--json", action="store_true", help="one JSON object a scenario")
    options = parser.parse_args()
    results, broken = [], 0
    try:
        allow_descriptors(4_000 if options.small else 12_000)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="berth-soak-"))
            stage = stack.enter_context(contextlib.closing(Stage()))
            stage.prepare(options.small)
            neighbour = stack.enter_context(
                contextlib.closing(
                    Neighbour(stage.port, f"/v1/environments/{stage.record['id']}", stage.key, folder)
                )
            )
            if not options.json:
                print(f"load average {os.getloadavg()[0]:.1f}; latencies are p50/p99 of the client that behaves, in ms")
                print(
                    f"{'scenario':<16} {'clients':>7} {'before':>7} {'peak':>7} {'after':>7} {'KiB each':>8} "
                    f"{'quiet':>10} {'meanwhile':>12} {'gone s':>6} {'limit':>5}", flush=True,
                )
            for scenario in SCENARIOS:
                if options.only and not any(part in scenario.name for part in options.only):
                    continue
                if options.small and not scenario.quick:
                    continue
                try:
                    found = soaked(stage, neighbour, scenario, scenario.count // (10 if options.small else 1))
                except (Failed, OSError) as failure:
                    broken += 1
                    print(f"{scenario.name:<16} not run: {failure}", file=sys.stderr, flush=True)
                    continue
                results.append(found)
                print(json.dumps(found) if options.json else line(found), flush=True)
    except Failed as failure:
        print(f"soak: {failure}", file=sys.stderr)
        return 2
    if broken or not results:
        return 2
    return 1 if any(found["wrong"] for found in results) else 0


sys.exit(main())
