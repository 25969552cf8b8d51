#!/usr/bin/env python3
"""The shipped server against Node in one run on one machine: routing, authorization, limits and logging on.

Compared is processor time of the server's process (user and system, from /proc), not throughput, so that the generator
and its neighbours do not count. Server and peer are pinned to one core, the generator and the workers to another; the two
are measured in turns and the figures are medians of the pairs. In the fan-out Berth's server also stores every byte.
Executions through the dispatcher are counted by the clock instead, on all cores: there what waits for the disk counts too.

    bench.py [--only PART]… [--pairs N] [--json]

Exit status: 0 when every target is met, 1 when one is missed, 2 when something could not be measured.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
from functools import partial

from berth_server import Failed, certificate
from dispatch_load import dispatch_latency, drain, enqueue_to_done
from fan_out import VIEWERS, BerthFeed, NodeFeed, fan_out
from http_load import gets
from idle import idle
from measure import median, quantile
from queue_sides import Dispatcher, Postgres, Redis, bullmq, service
from relay import BerthPair, NodePair, relay
from sides import Berth, Node

SECONDS = float(os.environ.get("BENCH_SECONDS", "1.5"))


@dataclasses.dataclass
class Row:
    """One comparison; `target` is what the peer must cost at least in units of ours, `limit` what ours may cost at most.
    `theirs` is nothing where there is no peer."""

    name: str
    unit: str
    peer: str
    ours: object
    theirs: object
    pairs: int = 1
    target: float = None
    limit: float = None


def rows(stage, pairs):
    """The table, in order; sides start when a row first needs them."""
    berth, secure, checked = stage.berth, stage.secure, lambda: stage.web("http.js")

    def get(side):
        return lambda: gets(side(), *stage.row(), SECONDS)

    for name, peer, side, target in (
        ("GET of a row, to Express", "Express", lambda: stage.web("express.js"), 4),
        ("GET of a row, to node:http", "node:http, open to all", lambda: stage.web("http.js", PEER_OPEN="1"), 1.1),
        ("GET of a row, to node:http with a key", "node:http", checked, None),
    ):
        yield Row(name, "µs", peer, get(berth), get(side), pairs, target)

    def through(side, pair_of, size, upward):
        return lambda: relay(side(), pair_of, size, SECONDS, upward)

    for name, ours, theirs, size, target, upward in (
        ("relay of 200 B", berth, stage.relay, 200, 8, False),
        ("relay of 200 B, to the worker", berth, stage.relay, 200, 8, True),
        ("relay of 64 KiB", berth, stage.relay, 64 << 10, 2.5, False),
        ("relay of 64 KiB, to the worker", berth, stage.relay, 64 << 10, 2.5, True),
        ("TLS relay of 64 KiB", secure, stage.secure_relay, 64 << 10, 2.5, False),
        ("TLS relay of 64 KiB, to the worker", secure, stage.secure_relay, 64 << 10, 2.5, True),
    ):
        yield Row(
            name, "µs", "ws", through(ours, BerthPair, size, upward), through(theirs, NodePair, size, upward), pairs, target
        )

    def fan(side, feed_of):
        return lambda: fan_out(side(), feed_of)

    yield Row(
        f"SSE, a line to one of {VIEWERS}", "µs", "node:http", fan(berth, BerthFeed), fan(checked, NodeFeed),
        min(pairs, 3), 1.5,
    )

    def alone(make):
        # On a side of its own: memory that an earlier row has freed would be taken again.
        def of():
            with contextlib.closing(make()) as side:
                return idle(side)

        return of

    for name, tls, limit in (("idle WebSocket", None, 8), ("idle TLS WebSocket", stage.tls, None)):
        make_ours, make_theirs = partial(Berth, stage.cores, tls), partial(Node, stage.cores, "relay.js", tls)
        yield Row(name, "KiB", "ws", alone(make_ours), alone(make_theirs), 1, limit=limit)


# Between the request that creates one and its stored end, at any time; a worker of its own for each.
IN_FLIGHT, JOBS, PEER_JOBS, SERVICE_JOBS = 100, 4000, 1000, 20_000


def queue_rows(stage, pairs):
    """Executions that do nothing, through the shipped dispatcher: microseconds of the clock for each, with all that keeps
    them (leases, fences, feed) and every end on the disk before it is told."""

    # Servers, peers and generator share all cores; what is started from here on inherits that.
    os.sched_setaffinity(0, stage.available)

    def each(rate_of):
        def cost():
            rate, details = rate_of()
            return 1e6 / rate, {**details, "perSecond": rate}

        return cost

    def ours(load, *side):
        return each(lambda: load(stage.dispatcher(*side), JOBS, workers=IN_FLIGHT, slots=1))

    for name, fsync, target in (("every write synced", "always", 5), ("synced once a second", "everysec", None)):
        peer = each(lambda fsync=fsync: bullmq(stage.redis(fsync), PEER_JOBS, IN_FLIGHT))
        yield Row(f"created to ended, {name}", "µs", "BullMQ", ours(enqueue_to_done), peer, min(pairs, 3), target)
    yield Row("durable completion, SQLite", "µs", None, ours(drain), None)
    yield Row("durable completion, PostgreSQL", "µs", None, ours(drain, "postgres"), None)

    def alone(kind, *line):
        return each(lambda: (stage.service(kind)[line]["perSecond"], stage.service(kind)[line]))

    shared, single = "shared", "one each"
    for name, kind, line, limit in (
        ("end durable, services, SQLite", "sqlite", ("ends", shared, True), 1e6 / 30_000),
        ("and the next given, SQLite", "sqlite", ("dispatched", shared, True), None),
        ("end durable, services, PostgreSQL", "postgres", ("ends", shared, True), 1e6 / 10_000),
        ("end durable, 4 organizations", "postgres", ("ends", shared, False), None),
        ("end durable, a commit for each", "postgres", ("ends", single, False), 1e6 / 3_000),
        ("and the next given, PostgreSQL", "postgres", ("dispatched", shared, True), None),
    ):
        yield Row(name, "µs", None, alone(kind, *line), None, limit=limit)

    def latency():
        times = dispatch_latency(stage.dispatcher(), 500)
        return quantile(times, 0.5) * 1000, {"p99": quantile(times, 0.99) * 1000, "operations": len(times)}

    yield Row("dispatch latency, p50", "µs", None, latency, None, limit=2000)


class Stage:
    """Starts a side when a row first asks for it, and closes them all."""

    def __init__(self, available, folder, stack):
        self.available, self.cores, self.stack = available, (available[0], available[-1]), stack
        self.tls = certificate(folder)
        self.sides = {}
        self.record = None
        self.services = {}

    def side(self, name, make):
        if name not in self.sides:
            self.sides[name] = self.stack.enter_context(contextlib.closing(make()))
        return self.sides[name]

    def berth(self):
        return self.side("berth", lambda: Berth(self.cores))

    def secure(self):
        return self.side("berth with TLS", lambda: Berth(self.cores, self.tls))

    def dispatcher(self, kind="sqlite"):
        if kind == "sqlite":
            return self.side("dispatcher", Dispatcher)
        cluster = self.side("postgres", Postgres)
        return self.side("dispatcher on PostgreSQL", lambda: Dispatcher(cluster.url))

    def service(self, kind):
        if kind not in self.services:
            cluster = self.side("postgres", Postgres) if kind == "postgres" else None
            self.services[kind] = service(cluster, SERVICE_JOBS)
        return self.services[kind]

    def redis(self, fsync):
        return self.side(("redis", fsync), lambda: Redis(fsync))

    def row(self):
        """Path and value of the row that is read, the same for all sides."""
        if self.record is None:
            self.record = self.berth().environment("bench")
        return f"/v1/environments/{self.record['id']}", self.record

    def web(self, script, **settings):
        """A peer that answers with the row."""
        _, record = self.row()
        settings["PEER_ROWS"] = json.dumps({record["id"]: record})
        return self.side((script, *settings), lambda: Node(self.cores, script, **settings))

    def relay(self):
        return self.side("relay.js", lambda: Node(self.cores, "relay.js"))

    def secure_relay(self):
        return self.side("relay.js with TLS", lambda: Node(self.cores, "relay.js", self.tls))


def measured(row):
    """Pairs in turns, so that what else the machine does falls on both; as a dictionary for people and programs."""
    pairs = []
    for _ in range(row.pairs):
        pairs.append((row.ours(), row.theirs() if row.theirs else (None, {})))
    ours, theirs, ratio = median([pair[0][0] for pair in pairs]), None, None
    if row.theirs:
        theirs = median([pair[1][0] for pair in pairs])
        ratio = median([theirs[0] / ours[0] for ours, theirs in pairs])
    met = None
    if row.target is not None:
        met = ratio >= row.target
    elif row.limit is not None:
        met = ours <= row.limit
    return {
        "row": row.name, "unit": row.unit, "berth": ours, "peer": theirs, "peerName": row.peer, "ratio": ratio,
        "target": row.target, "limit": row.limit, "met": met, "pairs": row.pairs,
        "berthDetails": pairs[-1][0][1], "peerDetails": pairs[-1][1][1],
    }


def line(found):
    wanted = ""
    if found["target"] is not None:
        wanted = f"≥ {found['target']:g}"
    elif found["limit"] is not None:
        wanted = f"≤ {found['limit']:.4g} {found['unit']}"
    verdict = {None: "stated", True: "ok", False: "MISSED"}[found["met"]]
    busy = [found[side].get("busy") for side in ("berthDetails", "peerDetails")]
    shown = " ".join(f"{value:.0%}" for value in busy if value is not None)
    peer, ratio = ("" if found[name] is None else f"{found[name]:.2f}" for name in ("peer", "ratio"))
    return (
        f"{found['row']:<38} {found['berth']:>9.2f} {peer:>9} {found['unit']:<4} {ratio:>6} "
        f"{wanted:>8} {verdict:<7} {found['pairs']:>5}  {shown:<9} {found['peerName'] or ''}"
    )


def main():
    parser = argparse.ArgumentParser(description="The shipped server against Node, by processor time.")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="rows whose name contains PART")
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each side and row")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {available[-1]})
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    results, broken = [], 0
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder, contextlib.ExitStack() as stack:
        if not options.json:
            print(f"peers: Node {version}, Express and ws of Debian; load average {os.getloadavg()[0]:.1f}")
            print(f"{'row':<38} {'berth':>9} {'peer':>9} {'':<4} {'ratio':>6} {'target':>8} {'':<7} pairs  {'busy':<9} peer", flush=True)
        stage = Stage(available, folder, stack)
        for row in itertools.chain(rows(stage, options.pairs), queue_rows(stage, options.pairs)):
            if options.only and not any(part in row.name for part in options.only):
                continue
            try:
                found = measured(row)
            except (Failed, OSError) as failure:
                broken += 1
                print(f"{row.name:<38} not measured: {failure}", file=sys.stderr, flush=True)
                continue
            results.append(found)
            print(json.dumps(found) if options.json else line(found), flush=True)
        if not options.json:
            print(f"load average at the end {os.getloadavg()[0]:.1f}")
    if broken:
        return 2
    return 1 if any(found["met"] is False for found in results) else 0


sys.exit(main())
