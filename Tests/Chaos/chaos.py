#!/usr/bin/env python3
"""Kills and stops the shipped server and workers at random moments while executions write numbered lines.

    CHAOS_ROUNDS=20  CHAOS_SEED=(random, printed)  CHAOS_PROVIDER=local

Now and then a holder is killed, and its whole instance with it: what ran there fails, or runs again where it asked for
`retry: idempotent`. What must hold: every execution reaches exactly one recorded end and ran once per attempt at most; the stored bytes of each completed
one, and what a viewer saw who reconnected through it all, are the bytes that were written; nothing runs on at the end.
"""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Benchmarks"))

from berth_server import Failed, Server, processes

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(1 << 32)))
PROVIDER = os.environ.get("CHAOS_PROVIDER", "local")
ENDED = ("completed", "failed", "cancelled", "timedOut")
TOKEN = f"chaos-{SEED}-{os.getpid()}"
STARTS = f"/var/tmp/{TOKEN}"

# Arguments: a token to be found by, the run's number, how many lines, the wait after every tenth in seconds.
WRITER = f"""
import hashlib, sys, time
_, token, number, lines, pause = sys.argv
with open('{STARTS}', 'a') as starts: starts.write(number + '\\n')
digest = hashlib.sha256()
for line in range(int(lines)):
    text = ('%s %08d ' % (number, line) + 'x' * (line % 400) + '\\n').encode()
    digest.update(text)
    sys.stdout.buffer.write(text)
    if line % 10 == 0:
        sys.stdout.buffer.flush()
        time.sleep(float(pause))
sys.stdout.buffer.flush()
sys.stderr.write(digest.hexdigest())
"""


class Run:
    """One execution and what its viewer saw of it."""

    def __init__(self, number, ident, repeats=False):
        self.number = number
        self.id = ident
        self.repeats = repeats
        self.lost = False
        self.cancelled = False
        self.seen = hashlib.sha256()
        self.seen_bytes = 0
        self.ends = 0
        self.viewer = None

    def watch(self, server):
        def follow():
            after = None
            deadline = time.monotonic() + 180
            while not self.ends and time.monotonic() < deadline:
                try:
                    for ident, name, data in server.events(self.id, "raw=true&streams=stdout", after, timeout=30):
                        if name == "stdout":
                            block = base64.b64decode(json.loads(data)["base64"])
                            self.seen.update(block)
                            self.seen_bytes += len(block)
                        elif name == "end":
                            self.ends += 1
                        after = ident or after
                except (OSError, http.client.HTTPException, Failed):
                    time.sleep(0.02)

        self.viewer = threading.Thread(target=follow, daemon=True)
        self.viewer.start()


class Chaos:
    def __init__(self):
        self.dice = random.Random(SEED)
        self.server = Server()
        self.environments = []
        self.runs = []
        self.broken = []
        self.injuries = {}

    def breach(self, run, words):
        self.broken.append(f"run {run.number} ({run.id}): {words}" if run else words)
        print(f"  BROKEN {self.broken[-1]}", flush=True)

    def call(self, method, path, body=None, seconds=60):
        """Asks again while the server is away."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.server.call(method, path, body)
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise Failed(f"{method} {path}: no answer for {seconds} s")
                time.sleep(0.01)

    def begin(self):
        self.server.start()
        for number in range(2):
            name = f"chaos-{number}"
            self.call("POST", "/v1/environments", {"name": name, "provider": PROVIDER})
            self.server.environment(name)
            self.environments.append(name)

    def holders(self):
        found = set()
        for record in self.server.data.glob("environments/*/instance"):
            found |= {int(line.split()[1]) for line in record.read_text().splitlines() if line.startswith("holder ")}
        return found & set(processes("berth-hold", lambda pid: True))

    def workers(self):
        holders = self.holders()

        def under(pid):
            return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) in holders

        return sorted(processes("berth-worker", under))

    def injure(self, runs):
        kind = self.dice.choice(
            ["kill server", "kill worker", "kill worker", "stop worker", "stop server", "kill both"] * 2 + ["kill holder"]
        )
        self.injuries[kind] = self.injuries.get(kind, 0) + 1
        pause = self.dice.uniform(0.05, 1.5)
        victims = self.workers()
        victim = self.dice.choice(victims) if victims else None
        if kind in ("kill worker", "kill both") and victim:
            self.send(victim, signal.SIGKILL)
        if kind in ("kill server", "kill both"):
            self.server.kill()
            time.sleep(self.dice.choice([0, pause]))
            self.server.start()
        if kind == "kill holder":
            for run in runs:
                run.lost = True
            self.send(self.dice.choice(sorted(self.holders()) or [0]), signal.SIGKILL)
        if kind == "stop worker" and victim:
            self.send(victim, signal.SIGSTOP)
            time.sleep(pause)
            self.send(victim, signal.SIGCONT)
        if kind == "stop server":
            self.send(self.server.process.pid, signal.SIGSTOP)
            time.sleep(pause)
            self.send(self.server.process.pid, signal.SIGCONT)
        return kind

    @staticmethod
    def send(pid, number):
        try:
            if pid:
                os.kill(pid, number)
        except ProcessLookupError:
            pass

    def round(self, number):
        began = time.monotonic()
        runs = []
        for _ in range(self.dice.randint(3, 7)):
            count, pause = self.dice.randint(0, 6000), self.dice.choice([0, 0.002, 0.005, 0.01])
            ordinal = len(self.runs)
            repeats = self.dice.random() < 0.3
            ident = self.call("POST", "/v1/executions", {
                "command": ["python3", "-c", WRITER, TOKEN, str(ordinal), str(count), str(pause)],
                "environment": self.dice.choice(self.environments),
                "retry": "idempotent" if repeats else "never",
            })["id"]
            run = Run(ordinal, ident, repeats)
            run.watch(self.server)
            runs.append(run)
            self.runs.append(run)
        kinds = []
        for _ in range(self.dice.randint(1, 3)):
            time.sleep(self.dice.uniform(0, 0.8))
            kinds.append(self.injure(runs))
            if self.dice.random() < 0.2:
                run = self.dice.choice(runs)
                run.cancelled = True
                self.call("POST", f"/v1/executions/{run.id}/cancel")
        statuses = [self.judge(run) for run in runs]
        counts = ", ".join(f"{statuses.count(status)} {status}" for status in ENDED if status in statuses)
        print(f"round {number}: {', '.join(kinds)}: {counts} ({time.monotonic() - began:.1f} s)", flush=True)

    def judge(self, run):
        deadline = time.monotonic() + 150
        while True:
            answer = self.call("GET", f"/v1/executions/{run.id}/wait?timeoutMs=10000")
            if answer["status"] in ENDED:
                break
            if time.monotonic() > deadline:
                self.breach(run, f"is {answer['status']} after 150 s")
                return answer["status"]
        run.end = {key: answer.get(key) for key in ("status", "endedAt", "exitCode", "attempt")}
        if answer["status"] != "completed":
            may_fail = run.lost and not run.repeats and answer["status"] == "failed"
            if not may_fail and (answer["status"] != "cancelled" or not run.cancelled):
                self.breach(run, f"ended as {answer['status']}: {answer.get('failure')}")
            return answer["status"]
        stored = self.output(run, "stdout")
        written = self.output(run, "stderr").decode()
        kept = hashlib.sha256(stored).hexdigest()
        if kept != written:
            self.breach(run, f"{len(stored)} stored bytes have digest {kept}, written were {written[:80]!r}")
        if answer["report"]["stdout"]["sha256"] != kept:
            self.breach(run, f"the report tells digest {answer['report']['stdout']['sha256']}, stored is {kept}")
        run.viewer.join(60)
        if run.ends != 1:
            self.breach(run, f"its viewer saw {run.ends} ends")
        elif run.seen.hexdigest() != kept and answer["attempt"] == 1:
            self.breach(run, f"its viewer saw {run.seen_bytes} bytes, not the {len(stored)} stored")
        return "completed"

    def output(self, run, stream):
        stored = b""
        while True:
            page = self.call("GET", f"/v1/executions/{run.id}/output?stream={stream}&offset={len(stored)}")
            if not page:
                return stored
            stored += page if isinstance(page, bytes) else json.dumps(page).encode()

    def finish(self):
        """Ends stay what they were; each run started once at most; nothing runs on."""
        for run in self.runs:
            now = self.call("GET", f"/v1/executions/{run.id}")
            for key, value in getattr(run, "end", {}).items():
                if now.get(key) != value:
                    self.breach(run, f"its end changed: {key} was {value}, is {now.get(key)}")
        starts = []
        for environment in self.environments:
            ended = self.server.run(["sh", "-c", f"cat {STARTS} || true"], environment)
            run = Run(-1, ended["id"])
            starts += self.output(run, "stdout").decode().split()
        if PROVIDER != "local":
            starts = starts[: len(starts) // len(self.environments)]
            pathlib.Path(STARTS).unlink(missing_ok=True)
        for run in self.runs:
            count = starts.count(str(run.number))
            attempts = getattr(run, "end", {}).get("attempt", 1)
            if count > attempts or count == 0 and not (run.cancelled or run.lost):
                self.breach(run, f"started {count} times in {attempts} attempts")
        self.vanish(TOKEN, "an execution's process")
        data = str(self.server.data)
        self.server.close()
        self.vanish(data, "a process of the server's directory")

    def vanish(self, text, words):
        deadline = time.monotonic() + 10
        while found := [pid for pid in commands(text)]:
            if time.monotonic() > deadline:
                return self.breach(None, f"{words} is left: {found}")
            time.sleep(0.05)


def commands(text):
    """Pids of the processes, other than this one, whose command line holds `text`."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text.encode() in (entry / "cmdline").read_bytes():
                    yield int(entry.name)
            except OSError:
                continue


def main():
    chaos = Chaos()
    print(f"chaos: {ROUNDS} rounds, CHAOS_SEED={SEED}", flush=True)
    try:
        chaos.begin()
        for number in range(1, ROUNDS + 1):
            chaos.round(number)
        chaos.finish()
    except Failed as failure:
        chaos.breach(None, str(failure))
    finally:
        if chaos.broken and (chaos.server.data / "server.log").exists():
            log = pathlib.Path("out/chaos-server.log")
            log.parent.mkdir(exist_ok=True)
            log.write_bytes((chaos.server.data / "server.log").read_bytes())
        chaos.server.close()
    injuries = ", ".join(f"{count} {kind}" for kind, count in sorted(chaos.injuries.items()))
    print(f"chaos: {len(chaos.runs)} executions through {injuries}: {len(chaos.broken)} broken", flush=True)
    return 1 if chaos.broken else 0


sys.exit(main())
