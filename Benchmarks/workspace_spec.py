"""Rows of the numeric specification about workspaces."""

import os
import pathlib
import statistics
import subprocess
import tempfile
import time

from berth_server import Failed, Server

MEGABYTES = 100
FILES = 1000
ROUNDS = 5


def repository(folder):
    """A bare remote of 100 MB that nothing compresses, in a thousand files; its path."""
    work = pathlib.Path(folder) / "work"
    remote = pathlib.Path(folder) / "remote.git"
    git = ["git", "-c", "user.name=spec", "-c", "user.email=spec@localhost", "-C", str(work)]
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(work)], check=True)
    for number in range(FILES):
        place = work / f"d{number % 40}" / f"f{number}"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(os.urandom((MEGABYTES << 20) // FILES))
    subprocess.run(git + ["add", "--all"], check=True)
    subprocess.run(git + ["commit", "--quiet", "-m", "Everything"], check=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(work), str(remote)], check=True)
    return str(remote)


def ready(server, url, environment, name):
    """Seconds from the request to READY."""
    begin = time.perf_counter()
    body = {"repository": {"url": url}, "environment": environment, "name": name}
    made = server.call("POST", "/v1/workspaces", body)
    while True:
        found = server.call("GET", f"/v1/workspaces/{made['id']}")
        if found["status"] == "READY":
            return time.perf_counter() - begin
        if found["status"] == "FAILED":
            raise Failed(f"workspace: {found.get('errorMessage')}")
        if time.perf_counter() - begin > 120:
            raise Failed(f"the workspace is {found['status']} after 120 s")
        time.sleep(0.005)


def workspaces(row):
    """On provider host, where the remote is a directory: no network is measured."""
    server = Server()
    with tempfile.TemporaryDirectory() as folder:
        try:
            url = repository(folder)
            server.start()
            server.call("POST", "/v1/environments", {"name": "spec", "provider": "host"})
            server.environment("spec")
            ready(server, url, "spec", "warm")
            taken = [ready(server, url, "spec", f"w{number}") for number in range(ROUNDS)]
            row("workspace ready, warm mirror of 100 MB, p50", statistics.median(taken), "s", 1.5)
        finally:
            server.close()


PARTS = [workspaces]
