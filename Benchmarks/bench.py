#!/usr/bin/env python3
"""The shipped server against Node in one run on one machine: routing, authorization, limits and logging on.

Compared is processor time of the server's process (user and system, from /proc), not throughput, so that the generator
and its neighbours do not count. Server and peer are pinned to one core, the generator and the workers to another; the two
are measured in turns and the figures are medians of the pairs. In the fan-out Berth's server also stores every byte.

    bench.py [--only PART]… [--pairs N] [--json]

Exit status: 0 when every target is met, 1 when one is missed, 2 when something could not be measured.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile

from berth_server import Failed, certificate
from fan_out import VIEWERS, BerthFeed, NodeFeed, fan_out
from http_load import gets
from idle import idle
from measure import median
from relay import BerthPair, NodePair, relay
from sides import Berth, Node

SECONDS = float(os.environ.get("BENCH_SECONDS", "1.5"))


@dataclasses.dataclass
class Row:
    """One comparison; `target` is what the peer must cost at least in units of ours, `limit` what ours may cost at most."""

    name: str
    unit: str
    peer: str
    ours: object
    theirs: object
    pairs: int
    target: float = None
    limit: float = None


def rows(stage, pairs):
    tls = stage.tls
    berth, secure = stage.berth, stage.secure

    def get(of):
        return lambda: gets(of(), *stage.row(), SECONDS)

    def node(script, **settings):
        return lambda: stage.peer(script, **settings)

    plain, checked = node("http.js", open="1"), node("http.js")
    express, relays = node("express.js"), node("relay.js")
    ours = get(berth)
    yield Row("GET of a row, to Express", "µs", "Express", ours, get(express), pairs, target=4)
    yield Row("GET of a row, to node:http", "µs", "node:http, open to all", ours, get(plain), pairs, target=1.1)
    yield Row("GET of a row, to node:http with a key", "µs", "node:http", ours, get(checked), pairs)
    for side, peer, how in ((berth, relays, ""), (secure, node("relay.js", tls=tls), "TLS ")):
        for size, target in ((200, 8), (64 << 10, 2.5)):
            if how and size == 200:
                continue
            named = "200 B" if size == 200 else "64 KiB"
            yield Row(
                f"{how}relay of {named}", "µs", "ws",
                lambda side=side, size=size: relay(side(), BerthPair, size, SECONDS),
                lambda peer=peer, size=size: relay(peer(), NodePair, size, SECONDS),
                pairs, target=target,
            )
    yield Row(
        f"SSE, a line to one of {VIEWERS}", "µs", "node:http",
        lambda: fan_out(berth(), BerthFeed),
        lambda: fan_out(checked(), NodeFeed),
        min(pairs, 3), target=1.5,
    )
    for how, limit, certified in (("", 8, None), ("TLS ", None, tls)):
        # On sides of their own: memory that an earlier row has freed would be taken again.
        yield Row(
            f"idle {how}WebSocket", "KiB", "ws",
            lambda certified=certified: alone(Berth(stage.cores, certified)),
            lambda certified=certified: alone(Node(stage.cores, "relay.js", certified)),
            1, limit=limit,
        )


def alone(side):
    try:
        return idle(side)
    finally:
        side.close()


class Stage:
    """Starts a side when a row first asks for it, and closes them all."""

    def __init__(self, cores, folder, stack):
        self.cores, self.stack = cores, stack
        self.tls = certificate(folder)
        self.sides = {}

    def side(self, name, make):
        if name not in self.sides:
            self.sides[name] = side = make()
            self.stack.callback(side.close)
        return self.sides[name]

    def berth(self):
        return self.side("berth", lambda: Berth(self.cores))

    def secure(self):
        return self.side("berth tls", lambda: Berth(self.cores, self.tls))

    def environment(self):
        return self.side("environment", lambda: Resting(self.berth().environment("bench"))).record

    def row(self):
        """Path and value of the row that is read, the same for all sides."""
        record = self.environment()
        return f"/v1/environments/{record['id']}", record

    def peer(self, script, tls=None, **settings):
        record = self.environment() if script != "relay.js" else None
        rows = {"PEER_ROWS": json.dumps({record["id"]: record})} if record else {}
        if settings.get("open"):
            rows["PEER_OPEN"] = "1"
        return self.side((script, bool(tls), bool(settings)), lambda: Node(self.cores, script, tls, **rows))


@dataclasses.dataclass
class Resting:
    record: dict

    def close(self):
        """Its server destroys it."""


def measured(row):
    """Pairs in turns, so that what else the machine does falls on both; as a dictionary for people and programs."""
    pairs = []
    for _ in range(row.pairs):
        pairs.append((row.ours(), row.theirs()))
    ours, theirs = (median([pair[side][0] for pair in pairs]) for side in (0, 1))
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
        wanted = f"≤ {found['limit']:g} {found['unit']}"
    verdict = {None: "stated", True: "ok", False: "MISSED"}[found["met"]]
    busy = [found[side].get("busy") for side in ("berthDetails", "peerDetails")]
    shown = " ".join(f"{value:.0%}" for value in busy if value is not None)
    return (
        f"{found['row']:<38} {found['berth']:>9.2f} {found['peer']:>9.2f} {found['unit']:<4} {found['ratio']:>6.2f} "
        f"{wanted:>8} {verdict:<7} {found['pairs']:>5}  {shown:<9} {found['peerName']}"
    )


def main():
    parser = argparse.ArgumentParser(description="The shipped server against Node, by processor time.")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="rows whose name contains PART")
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each side and row")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    cores = (available[0], available[-1])
    os.sched_setaffinity(0, {cores[1]})
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    results, broken = [], 0
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder, contextlib.ExitStack() as stack:
        if not options.json:
            print(f"peers: Node {version}, Express and ws of Debian; load average {os.getloadavg()[0]:.1f}")
            print(f"{'row':<38} {'berth':>9} {'peer':>9} {'':<4} {'ratio':>6} {'target':>8} {'':<7} pairs  {'busy':<9} peer", flush=True)
        for row in rows(Stage(cores, folder, stack), options.pairs):
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
