"""Rows of the numeric specification about machines that wait, cold starts and environments that rest."""

import concurrent.futures
import json
import os
import sqlite3
import statistics
import time

from berth_server import Failed, Server
from measure import anonymous_kilobytes, quantile

SPARES = int(os.environ.get("SPEC_SPARES", "100"))
IDLE = int(os.environ.get("SPEC_IDLE", "10000"))


def gauge(server, name):
    _, text = server.request("GET", "/metrics", authorized=False)
    for line in text.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise Failed(f"there is no {name} in /metrics")


def filled(server, count, seconds=120):
    deadline = time.monotonic() + seconds
    while gauge(server, "berth_spares_ready") != count:
        if time.monotonic() > deadline:
            raise Failed(f"{gauge(server, 'berth_spares_ready'):g} of {count} spares after {seconds} s")
        time.sleep(0.02)


def claim(server, connection=None):
    """Milliseconds until the API has answered with a machine that runs; the id."""
    begin = time.perf_counter()
    status, answer = server.request("POST", "/v1/environments", {}, connection=connection)
    took = (time.perf_counter() - begin) * 1000
    if status != 201:
        raise Failed(f"claim: {status} {answer}")
    if answer["status"] != "running":
        raise Failed(f"a claim was answered by a machine that is {answer['status']}")
    return took, answer["id"]


def destroy(server, environments):
    for environment in environments:
        server.call("POST", f"/v1/environments/{environment}/destroy")


def drain(server):
    """Without its spares: a server that keeps none lets them go."""
    server.flags = []
    server.kill(15)
    server.start()
    deadline = time.monotonic() + 120
    while any((server.data / "environments").iterdir()):
        if time.monotonic() > deadline:
            raise Failed("spares are left after a start without any")
        time.sleep(0.05)


def warm(row):
    """One claim after the other from a pool of 5, then as many at once as there are spares."""
    server = Server("--set", "warmSpares=5")
    try:
        server.start()
        times = []
        for _ in range(100):
            filled(server, 5)
            took, environment = claim(server)
            times.append(took)
            destroy(server, [environment])
        row("warm claim, p50", statistics.median(times), "ms", 10)
        row("warm claim, p99", quantile(times, 0.99), "ms", 30)
        server.flags[1] = f"warmSpares={SPARES}"
        server.kill(15)
        server.start()
        filled(server, SPARES, 300)
        connections = [server.connect() for _ in range(SPARES)]
        with concurrent.futures.ThreadPoolExecutor(SPARES) as crowd:
            answers = list(crowd.map(lambda connection: claim(server, connection), connections))
        for connection in connections:
            connection.close()
        claimed = [environment for _, environment in answers]
        if len(set(claimed)) != SPARES:
            raise Failed("two claims were answered by one machine")
        row(f"{SPARES} claims at once, p99", quantile([took for took, _ in answers], 0.99), "ms", 200)
        destroy(server, claimed)
        drain(server)
    finally:
        server.close()


def cold(row):
    """No spares: created to worker ready."""
    server = Server()
    try:
        server.start()
        times = []
        for number in range(30):
            begin = time.perf_counter()
            server.call("POST", "/v1/environments", {"name": f"cold-{number}"})
            server.environment(f"cold-{number}")
            times.append((time.perf_counter() - begin) * 1000)
            destroy(server, [f"cold-{number}"])
        row("cold start (local), p50", statistics.median(times), "ms", 60)
    finally:
        server.close()


def resting(row):
    """What an environment that rests costs the server: rows and directories like those of a real, stopped one."""
    server = Server()
    try:
        server.start()
        server.call("POST", "/v1/environments", {"name": "first"})
        first = server.environment("first")
        server.call("POST", "/v1/environments/first/stop")
        server.environment("first", "stopped")
        server.kill(15)
        server.start()
        server.call("GET", "/v1/environments?limit=200")
        time.sleep(2)
        before = anonymous_kilobytes(server.process.pid)
        server.kill(15)
        copies(server, first["id"])
        server.start()
        server.call("GET", "/v1/environments?limit=200")
        # The first look at all of them, and what it took is given back.
        time.sleep(40)
        each = (anonymous_kilobytes(server.process.pid) - before) / IDLE
        row(f"{IDLE:,} environments at rest, each", each, "KB", 2)
        server.kill(15)
        forget(server, first["id"])
        server.start()
    finally:
        server.close()


def copies(server, first):
    """IDLE environments as the first one is: stopped, with all that the provider keeps of it but its files."""
    model = server.data / "environments" / first
    database = sqlite3.connect(server.data / "berth.sqlite")
    columns = [column[1] for column in database.execute("PRAGMA table_info(environments)")]
    row = list(database.execute(f"SELECT {', '.join(columns)} FROM environments WHERE id = ?", (first,)).fetchone())
    with database:
        for number in range(IDLE):
            identifier = f"env_{number:026d}"
            row[columns.index("id")] = identifier
            row[columns.index("name")] = f"idle-{number}"
            if row[columns.index("provider_instance_id")]:
                row[columns.index("provider_instance_id")] = identifier
            marks = ", ".join("?" * len(columns))
            database.execute(f"INSERT INTO environments ({', '.join(columns)}) VALUES ({marks})", row)
            folder = model.parent / identifier
            (folder / "run").mkdir(parents=True, mode=0o700)
            kept = json.loads((model / "spec.json").read_text())
            kept["request"].update(environmentID=identifier, hostname=f"idle-{number}")
            (folder / "spec.json").write_text(json.dumps(kept, sort_keys=True, separators=(",", ":")))
            for name in ("instance", "exit"):
                if (model / name).exists():
                    (folder / name).write_bytes((model / name).read_bytes())
    database.close()


def forget(server, first):
    """Takes them away again, so that nothing has to be destroyed one by one."""
    database = sqlite3.connect(server.data / "berth.sqlite")
    with database:
        database.execute("DELETE FROM environments WHERE id <> ?", (first,))
    database.close()


def pool(row):
    warm(row)
    cold(row)
    resting(row)


PARTS = [pool]
