"""Rows of the numeric specification about containers, against bare calls of the same Docker Engine in the same run."""

import os
import statistics
import time

from berth_server import Failed, Server
from docker_engine import IMAGE, Engine

ROUNDS = int(os.environ.get("SPEC_DOCKER_ROUNDS", "15"))


def milliseconds(body):
    begin = time.perf_counter()
    body()
    return (time.perf_counter() - begin) * 1000


def bare_start(engine, name):
    container = {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}}
    engine.call("POST", f"/containers/create?name={name}", container)
    engine.call("POST", f"/containers/{name}/start")


def start(server, name):
    server.call("POST", "/v1/environments", {"name": name, "provider": "docker"})
    server.environment(name)


def pause_and_resume(server, name):
    """Until a command has been run, which resumes it as whatever is asked of a paused environment does."""
    server.call("POST", f"/v1/environments/{name}/pause")
    server.environment(name, "paused")
    ended = server.run(["true"], name)
    if ended["status"] != "completed":
        raise Failed(f"true ended as {ended['status']}: {ended.get('failure')}")


def docker(row):
    """Ours and the bare calls in turn, so that both meet the same machine."""
    engine = Engine()
    server = Server(variables={"BERTH_DOCKER_SOCKET": engine.socket})
    try:
        server.start()
        ours, bare = [], []
        for number in range(ROUNDS):
            bare.append(milliseconds(lambda: bare_start(engine, f"bare-{number}")))
            ours.append(milliseconds(lambda: start(server, f"spec-{number}")))
            if number:
                engine.call("DELETE", f"/containers/bare-{number}?force=1")
                server.call("POST", f"/v1/environments/spec-{number}/destroy")
        ratio = statistics.median(ours) / statistics.median(bare)
        row("docker: create to worker ready, of bare calls", ratio, "times", 1.25)
        print(f"  bare {statistics.median(bare):.1f} ms, with Berth {statistics.median(ours):.1f} ms")
        ours, bare = [], []
        for _ in range(ROUNDS):
            bare.append(
                milliseconds(lambda: [engine.call("POST", f"/containers/bare-0/{verb}") for verb in ("pause", "unpause")])
            )
            ours.append(milliseconds(lambda: pause_and_resume(server, "spec-0")))
        ratio = (statistics.median(ours) - 5) / statistics.median(bare)
        row("docker: pause and resume less 5 ms, of bare", ratio, "times", 1.3)
        print(f"  bare {statistics.median(bare):.1f} ms, with Berth {statistics.median(ours):.1f} ms")
    except Failed:
        print((server.data / "server.log").read_text()[-3000:])
        raise
    finally:
        server.close()
        engine.close()


PARTS = [docker]
