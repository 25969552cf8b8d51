"""The row of the numeric specification about agent sessions: the snapshot of a long log."""

import statistics
import subprocess
import tempfile
import time

from berth_server import Failed, Server

EVENTS = 5000
ROUNDS = 15

# An agent of the Agent Client Protocol that does much in one turn.
AGENT = """
import json, sys
def say(value): print(json.dumps({"jsonrpc": "2.0", **value}), flush=False)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize": say({"id": asked["id"], "result": {"protocolVersion": 1}})
    if asked["method"] == "session/new": say({"id": asked["id"], "result": {"sessionId": "s"}})
    if asked["method"] == "session/prompt":
        for number in range(%d):
            update = {"sessionUpdate": "tool_call", "toolCallId": f"call-{number}", "title": f"tool {number}",
                      "rawInput": {"command": "make test", "path": f"Sources/Module/File{number}.swift"}}
            say({"method": "session/update", "params": {"sessionId": "s", "update": update}})
        say({"id": asked["id"], "result": {"stopReason": "end_turn"}})
    sys.stdout.flush()
""" % EVENTS


def snapshot(server, path):
    """The whole log, on a connection that is there already; returns milliseconds and events."""
    connection = server.connect()
    connection.connect()
    begin = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {server.key}"})
    body = connection.getresponse().read()
    took = (time.perf_counter() - begin) * 1000
    connection.close()
    return took, body.count(b"event: event\n")


def repository(folder):
    """One commit to check out."""
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["-c", "user.name=spec", "-c", "user.email=spec@localhost", "commit", "-q", "--allow-empty", "-m", "seed"],
    ):
        subprocess.run(["git", "-C", folder, *arguments], check=True)
    return folder


def sessions(row):
    server = Server()
    try:
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            measure(row, server, repository(folder))
    finally:
        server.close()


def measure(row, server, url):
    server.call("POST", "/v1/environments", {"name": "spec", "provider": "host"})
    server.environment("spec")
    server.run(["true"], "spec", repository={"url": url})
    workspace = server.call("GET", "/v1/workspaces")["items"][0]["id"]
    place = f"/v1/workspaces/{workspace}/agent-sessions"
    made = server.call("POST", place, {"agent": "acp", "command": ["python3", "-c", AGENT], "prompt": "go"})
    path = f"{place}/{made['id']}"
    until = time.monotonic() + 60
    while server.call("GET", path)["activity"] != "done":
        if time.monotonic() > until:
            raise Failed("the scripted agent did not end its turn")
    times = []
    for _ in range(ROUNDS):
        took, count = snapshot(server, path + "/events?follow=false")
        if count < EVENTS:
            raise Failed(f"{count} events came of {EVENTS}")
        times.append(took)
    row("snapshot of 5,000 session events, p50", statistics.median(times), "ms", 30)


PARTS = [sessions]
