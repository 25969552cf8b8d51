#!/usr/bin/env python3
"""A seeded random walk of lifecycle operations on containers, with kill -9 of the server and of the Docker Engine.

At every step nothing may be past its deadline; at the end everything must come to rest, and after one pass of the
reconciler the Engine must hold exactly the containers of the environments that are there. Exit status 1 when not.
"""

import argparse
import collections
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Benchmarks"))

from berth_server import Failed, Server  # noqa: E402
from docker_engine import Engine  # noqa: E402

RESTING = {"running", "paused", "stopped", "error"}
GONE = {"destroyed"}
# How much later than its deadline a state may still be seen: the timer's turn, and a server that was just killed.
SLACK_SECONDS = 20


class Walk:
    def __init__(self, seed, most):
        self.random = random.Random(seed)
        self.most = most
        self.engine = Engine()
        self.server = Server(variables={"BERTH_DOCKER_SOCKET": self.engine.socket})
        self.server.start()
        self.made = 0
        self.answers = collections.Counter()

    def environments(self):
        items = self.server.call("GET", "/v1/environments?limit=200")["items"]
        return [item for item in items if item["status"] not in GONE]

    def ask(self, method, path, body=None):
        status, _ = self.server.request(method, path, body)
        self.answers[status] += 1
        # A refusal by state, or an Engine that is just not there, is an answer; anything else is a fault of ours.
        if status >= 500 and status not in (502, 503, 504):
            raise Failed(f"{method} {path}: {status}")

    def step(self):
        present = self.environments()
        chance = self.random.random()
        if chance < 0.01:
            self.server.kill()
            self.server.start()
        elif chance < 0.02:
            self.engine.tell("kill")
            self.engine.tell("start")
        elif len(present) < self.most and chance < 0.3:
            self.made += 1
            limits = {"processes": 256, "diskBytes": 64 << 20}
            self.ask("POST", "/v1/environments", {"name": f"walk-{self.made}", "provider": "docker", "limits": limits})
        elif present:
            name = self.random.choice(present)["name"]
            verb = self.random.choices(
                ["start", "stop", "pause", "resume", "destroy", "retry"], [4, 4, 4, 4, 1, 1]
            )[0]
            self.ask("POST", f"/v1/environments/{name}/{verb}")
        self.check_deadlines(present)
        time.sleep(self.random.random() * 0.1)

    def check_deadlines(self, present):
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - SLACK_SECONDS))
        for item in present:
            if (item.get("deadlineAt") or "9") < now:
                raise Failed(f"{item['name']} is {item['status']}, past its deadline {item['deadlineAt']}")

    def settle(self, wanted, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            present = self.environments()
            self.check_deadlines(present)
            if all(wanted(item) for item in present):
                return present
            time.sleep(0.2)
        raise Failed(f"not at rest: {[(item['name'], item['status'], item['desired']) for item in present]}")

    def deployment(self):
        return str(self.server.data.resolve() / "environments")

    def check_containers(self, present):
        """An environment that runs has its container, and there is no container without an environment."""
        deadline = time.monotonic() + 60
        while True:
            held = {labels["berth.environment"] for labels in self.engine.containers(deployment=self.deployment())}
            known = {item["id"] for item in present}
            alive = {item["id"] for item in present if item["status"] in ("running", "paused")}
            if held <= known and alive <= held:
                return
            if time.monotonic() > deadline:
                raise Failed(f"orphans {held - known}, without a container {alive - held}")
            time.sleep(0.5)

    def run(self, steps):
        for _ in range(steps):
            self.step()
        self.check_containers(self.settle(lambda item: item["status"] in RESTING))
        for item in self.environments():
            self.ask("POST", f"/v1/environments/{item['name']}/destroy")
        self.settle(lambda item: False)
        self.check_containers([])
        left = list((self.server.data / "environments").iterdir())
        if left:
            raise Failed(f"left: {left}")

    def close(self):
        self.server.close()
        self.engine.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--environments", type=int, default=6, help="how many there are at most")
    options = parser.parse_args()
    walk = Walk(options.seed, options.environments)
    try:
        walk.run(options.steps)
    except Failed as failure:
        print(f"docker walk, seed {options.seed}: {failure}", file=sys.stderr)
        print((walk.server.data / "server.log").read_text()[-4000:], file=sys.stderr)
        return 1
    finally:
        walk.close()
    print(f"docker walk, seed {options.seed}: {options.steps} steps, answers {dict(sorted(walk.answers.items()))}")
    return 0


sys.exit(main())
