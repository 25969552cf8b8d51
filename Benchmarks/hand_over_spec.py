"""Rows of the numeric specification about workspaces that go from one server to another."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from berth_server import ROOT, Failed, Server

MEGABYTE = 1 << 20


def git(*words, at):
    author = ["-c", "user.name=spec", "-c", "user.email=spec@localhost"]
    return subprocess.run(["git", "-C", str(at), *author, *words], check=True, capture_output=True, text=True).stdout


def repository(folder):
    """A bare repository with 100 MB that do not compress, in 200 files, served over HTTP; its URL and the server."""
    seed = folder / "seed"
    seed.mkdir(parents=True)
    git("init", "-q", "-b", "main", at=seed)
    for number in range(200):
        (seed / f"file-{number:03}").write_bytes(os.urandom(MEGABYTE // 2))
    git("add", ".", at=seed)
    git("commit", "-qm", "seed", at=seed)
    origin = folder / "repositories" / "app.git"
    origin.parent.mkdir()
    subprocess.run(["git", "clone", "-q", "--bare", str(seed), str(origin)], check=True)
    shutil.rmtree(seed)
    served = subprocess.Popen(
        [sys.executable, str(ROOT / "Tests/Support/Peers/git_http_server.py"), str(origin.parent)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    return int(served.stdout.readline()), served


def checked_out(server, port):
    """A ready workspace in the server's personal environment; its id."""
    body = {"command": ["true"], "repository": {"url": f"http://127.0.0.1:{port}/app.git"}}
    execution = server.call("POST", "/v1/executions", body)["id"]
    ended = server.wait(execution, 300)
    if ended["status"] != "completed":
        raise Failed(f"the checkout ended as {ended['status']}: {ended.get('failure')}")
    return ended["workspaceId"]


def hand_overs(row):
    """A send of a 100 MB repository with a 1 MB dirty tree to a side that has the mirror."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-hand-over-"))
    sides = [Server(variables={"BERTH_MODE": "desktop"}), Server(variables={"BERTH_MODE": "cloud"})]
    served = None
    try:
        port, served = repository(folder)
        for side in sides:
            side.start()
            network = {"kind": "open", "hostPorts": [port]}
            body = {"command": ["true"], "provider": os.environ.get("SPEC_PROVIDER", "local"), "network": network}
            side.wait(side.call("POST", "/v1/executions", body)["id"])
        workspace = checked_out(sides[0], port)
        # The other side comes to have the mirror, as from any earlier task there.
        checked_out(sides[1], port)
        dirty = (
            "cd /workspace/app-* && git checkout -q -b work && for n in 1 2 3 4; do "
            "head -c 131072 /dev/urandom > file-00$n; done && git add file-001 && mkdir new && "
            "for n in 1 2 3 4; do head -c 131072 /dev/urandom > new/$n; done"
        )
        ended = sides[0].run(["sh", "-c", dirty])
        if ended["status"] != "completed" or ended.get("exitCode"):
            raise Failed(f"the tree was not made dirty: {ended}")
        peer = {"name": "cloud", "url": sides[1].url, "token": sides[1].key}
        begin = time.perf_counter()
        sent = sides[0].call("POST", f"/v1/workspaces/{workspace}/send", {"peer": peer})
        while sent["state"] in ("PREPARING", "COMMITTED"):
            time.sleep(0.005)
            sent = sides[0].call("GET", f"/v1/hand-overs/{sent['id']}")
        took = time.perf_counter() - begin
        if sent["state"] != "DONE":
            raise Failed(f"the send ended as {sent}")
        row("send: 100 MB repository, 1 MB dirty, mirror there", took, "s", 3)
        row("send: bytes that travelled", sent["bytes"] / MEGABYTE, "MB", 3)
    finally:
        for side in sides:
            side.close()
        if served:
            served.stdin.close()
            served.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


PARTS = [hand_overs]
