#!/usr/bin/env python3
"""Measures the shipped programs against the numeric specification: a line per row. Exit status 1 when one is over, 2 when
one could not be measured.

Authorization and logging are on. Machines are shared and noisy: the machine's own costs are printed beside the rows.
"""

import argparse
import base64
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import crowd_spec
import docker_spec
import hand_over_spec
import machine_spec
import pool_spec
import session_spec
import terminal_spec
import workspace_spec
from berth_server import Failed, Server, parent, processes
from measure import anonymous_kilobytes, peak_kilobytes, quantile

PROVIDER = os.environ.get("SPEC_PROVIDER", "local")
rows = []
options = argparse.Namespace(json=False, only=[])


def row(name, value, unit, limit, at_least=False):
    ok = value >= limit if at_least else value <= limit
    rows.append(ok)
    if options.json:
        found = {"row": name, "value": value, "unit": unit, "limit": limit, "atLeast": at_least, "met": ok}
        return print(json.dumps(found), flush=True)
    sign = ">=" if at_least else "<="
    print(f"{name:<46} {value:>10.2f} {unit:<6} {sign} {limit:<8g} {'ok' if ok else 'over'}", flush=True)


def note(name, value, unit):
    if options.json:
        return print(json.dumps({"note": name, "value": value, "unit": unit}), flush=True)
    print(f"{name:<46} {value:>10.3f} {unit}", flush=True)


def machine_costs():
    with tempfile.TemporaryDirectory() as folder:
        descriptor = os.open(pathlib.Path(folder) / "probe", os.O_CREAT | os.O_WRONLY)
        costs = []
        for _ in range(200):
            os.write(descriptor, b"x" * 4096)
            begin = time.perf_counter()
            os.fdatasync(descriptor)
            costs.append((time.perf_counter() - begin) * 1000)
        os.close(descriptor)
    note("machine: fdatasync p50", statistics.median(costs), "ms")
    costs = []
    for _ in range(100):
        begin = time.perf_counter()
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        costs.append((time.perf_counter() - begin) * 1000)
    note("machine: spawn of true p50", statistics.median(costs), "ms")
    note("machine: load average", os.getloadavg()[0], "")


def server_start():
    times = []
    server = Server()
    for _ in range(10):
        times.append(server.start() * 1000)
        server.kill(15)
    row("server: exec to ready, p50", statistics.median(times), "ms", 100)
    return server


def environment_create(server):
    times = []
    for number in range(15):
        begin = time.perf_counter()
        server.call("POST", "/v1/environments", {"name": f"spec-{number}", "provider": PROVIDER})
        server.environment(f"spec-{number}")
        times.append((time.perf_counter() - begin) * 1000)
        if number:
            server.call("POST", f"/v1/environments/spec-{number}/destroy")
    row("environment: created to worker ready, p50", statistics.median(times), "ms", 60)
    note("environment: created to worker ready, max", max(times), "ms")
    return "spec-0"


def warm_exec(server, environment):
    times = []
    for number in range(330):
        begin = time.perf_counter()
        ended = server.run(["true"], environment)
        if number >= 30:
            times.append((time.perf_counter() - begin) * 1000)
        if ended["status"] != "completed":
            raise Failed(f"true ended as {ended['status']}: {ended.get('failure')}")
    row("exec true, warm, p50", statistics.median(times), "ms", 5)
    row("exec true, warm, p99", quantile(times, 0.99), "ms", 15)


STAMPS = (
    "import time,sys\n"
    "for _ in range(200):\n"
    "    sys.stdout.write('%d\\n' % time.clock_gettime_ns(time.CLOCK_MONOTONIC)); sys.stdout.flush(); time.sleep(0.01)\n"
)


def first_byte(server, environment):
    """How much later a byte reaches a viewer than it would reach a parent through a bare pipe."""
    direct = []
    child = subprocess.Popen([sys.executable, "-c", STAMPS], stdout=subprocess.PIPE)
    for line in child.stdout:
        direct.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC) - int(line))
    child.wait()
    execution = server.create(["python3", "-c", STAMPS], environment)
    streamed = []
    for _, name, data in server.events(execution):
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if name == "stdout":
            text = base64.b64decode(json.loads(data)["base64"])
            streamed += [now - int(stamp) for stamp in text.split()[-1:]]
    added = (statistics.median(streamed) - statistics.median(direct)) / 1e6
    row("streamed output: added first-byte latency, p50", added, "ms", 2)


def throughput(server, environment):
    """One execution writes; one viewer reads everything, another connects and never reads."""
    size = 512 << 20
    stalled = server.connect()
    execution = server.create(
        ["sh", "-c", f"head -c {size} /dev/zero | tr '\\0' 'x'"], environment, config={"maxOutputBytes": size}
    )
    stalled.request(
        "GET", f"/v1/executions/{execution}/events?raw=true", headers={"Authorization": f"Bearer {server.key}"}
    )
    total, begin = 0, time.perf_counter()
    peak = [0]
    stop = threading.Event()

    def watch():
        while not stop.wait(0.05):
            peak[0] = max(peak[0], anonymous_kilobytes(server.process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    # Bytes are counted as base64 of the stream: three of four.
    connection = server.connect()
    connection.request(
        "GET", f"/v1/executions/{execution}/events?raw=true&streams=stdout",
        headers={"Authorization": f"Bearer {server.key}"},
    )
    response = connection.getresponse()
    carried = 0
    while block := response.read1(1 << 20):
        carried += len(block)
    seconds = time.perf_counter() - begin
    stop.set()
    watcher.join()
    ended = server.wait(execution)
    total = ended["report"]["stdout"]["headBytes"]
    if total != size or carried < size:
        raise Failed(f"{total} of {size} bytes were stored, {carried} bytes carried")
    row("stored and streamed output", size / seconds / 1e6, "MB/s", 80, at_least=True)
    row("server RssAnon at its peak, one viewer stalled", peak[0] / 1024, "MB", 96)
    stalled.close()


def idle_memory(server):
    time.sleep(3)
    row("server idle, RssAnon", anonymous_kilobytes(server.process.pid) / 1024, "MB", 24)
    holders = server.holders()
    for program, ours, limit in (
        ("berth-worker", lambda pid: parent(pid) in holders, 8), ("berth-hold", lambda pid: pid in holders, 3),
    ):
        sizes = [anonymous_kilobytes(pid) / 1024 for pid in processes(program, ours)]
        if not sizes:
            raise Failed(f"no {program} is running")
        row(f"{program} idle, RssAnon", max(sizes), "MB", limit)
    note("server resident peak", peak_kilobytes(server.process.pid) / 1024, "MB")


def one_environment():
    """The rows about one environment and its server."""
    server = server_start()
    try:
        server.start()
        environment = environment_create(server)
        idle_memory(server)
        warm_exec(server, environment)
        first_byte(server, environment)
        throughput(server, environment)
    except Failed:
        print((server.data / "server.log").read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description="The shipped programs against the numeric specification.")
    measured = crowd_spec.PARTS + docker_spec.PARTS + machine_spec.PARTS + pool_spec.PARTS + session_spec.PARTS
    measured += workspace_spec.PARTS + hand_over_spec.PARTS + terminal_spec.PARTS
    parts = {"environment": one_environment, **{part.__name__: lambda part=part: part(row) for part in measured}}
    parser.add_argument("--only", action="append", default=[], choices=parts, help="some of the parts")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.parse_args(namespace=options)
    if not options.json:
        print(f"{'row':<46} {'value':>10} {'unit':<6}    limit", flush=True)
    machine_costs()
    broken = 0
    for name, part in parts.items():
        if options.only and name not in options.only:
            continue
        try:
            part()
        except (Failed, OSError) as failure:
            broken += 1
            print(f"spec: {name}: {failure}", file=sys.stderr, flush=True)
    machine_costs()
    if broken:
        return 2
    return 0 if all(rows) else 1


sys.exit(main())
