#!/usr/bin/env python3
"""Kills, stops, starves and cuts off the shipped programs at random moments while executions stream numbered lines.

    chaos.py [--kills 500] [--streams 50] [--seed N] [--database sqlite|postgres] [--broker] [--provider local] [--json]

What must hold: every execution reaches exactly one recorded end; the stored bytes of each completed one, and what a viewer
saw who reconnected through it all, are the bytes that its process wrote by its own digest, and those of any other are a
beginning of them; nothing starts more often than its policy and its attempts allow; nothing runs on at the end. With a
broker, which is killed, stopped and cut off too: all that happened to executions comes to it in order and without a hole.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Benchmarks"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from berth_server import Failed
from children import WRITER
from field import Field, send
from runs import ENDED, Run

KILLS = {"server": 5, "worker": 5, "database": 5, "holder": 1}
OTHERS = {"stop server": 2, "stop worker": 2, "stop holder": 1, "stop database": 1, "cut network": 2, "fill disk": 1}
BROKER = {"kill broker": 2, "stop broker": 2, "refuse broker": 2}


class Chaos:
    def __init__(self, options):
        self.options = options
        self.dice = random.Random(options.seed)
        self.token = f"chaos-{options.seed}-{os.getpid()}"
        self.starts = f"/var/tmp/{self.token}"
        self.field = Field(self.token, options.database, options.environments, options.provider, options.broker)
        self.lock = threading.Lock()
        self.runs = []
        self.open = set()
        self.broken = []
        self.counts = {}
        self.stop = threading.Event()
        self.side = []
        self.streaming = []
        # Changes that waited for the broker.
        self.waited = []
        self.felt = {}

    def say(self, text):
        if not self.options.json:
            print(text, flush=True)

    def breach(self, run, words):
        with self.lock:
            self.broken.append(f"run {run.number} ({run.id}): {words}" if run else words)
        self.say(f"  BROKEN {self.broken[-1]}")
        if run and run.id:
            folder = pathlib.Path("out/chaos")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{run.id}.txt").write_text(f"{self.broken[-1]}\n{self.field.evidence(run.id)}")

    # Work: as many executions as wanted, each replaced when it has ended.

    def begin(self):
        with self.lock:
            number = len(self.runs)
            place = self.dice.choice(self.field.places)
            lines, pause = self.dice.randint(0, self.options.lines), self.dice.choice([0.002, 0.005, 0.01, 0.03])
            repeats = not place.is_standing and self.dice.random() < 0.3
            run = Run(number, None, lines, place, repeats)
            self.runs.append(run)
        if place.is_standing:
            text = f"{self.token} {number} {lines} {pause} {place.directory}/starts"
            body, path = {"prompt": text, "personaId": "chaos"}, "/api/execute"
        else:
            command = ["python3", "-c", WRITER, self.token, str(number), str(lines), str(pause), self.starts]
            body = {"command": command, "environment": place.name, "retry": "idempotent" if repeats else "never"}
            path = "/v1/executions"
        answer = self.field.call("POST", path, body, key=f"{self.token}-{number}")
        run.id = answer.get("id") or answer["executionId"]
        return run

    def follow(self):
        while not self.stop.is_set():
            run = None
            try:
                run = self.begin()
                run.watch(self.field.server)
                with self.lock:
                    self.open.add(run)
                run.is_over.wait(300)
                for words in run.judge(self.field):
                    self.breach(run, words)
            except Exception as error:  # whatever it is, it is told
                self.breach(run, f"{type(error).__name__}: {error}")
            finally:
                with self.lock:
                    self.open.discard(run)

    # Injuries.

    def count(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def aside(self, body, *arguments):
        thread = threading.Thread(target=body, args=arguments, daemon=True)
        thread.start()
        self.side.append(thread)

    def taken(self, name=None):
        """What runs in this place, or is on its way there, may fail: its machine is lost. None: everywhere. The workers
        that stand alone are one place: the server chooses between them."""
        hit = next((place for place in self.field.places if place.name == name), None)
        with self.lock:
            for place in self.field.places:
                if hit is None or place is hit or place.is_standing and hit.is_standing:
                    place.killed_at = time.monotonic()
            for run in self.runs:
                if run.status is None and run.place.killed_at > run.begun - 5:
                    run.lost = True

    def injure(self):
        field, pause = self.field, self.dice.uniform(0.05, 1.2)
        weights = {f"kill {name}": weight for name, weight in KILLS.items()} | OTHERS
        if not field.postgres:
            weights = {kind: weight for kind, weight in weights.items() if "database" not in kind}
        if field.broker:
            weights |= BROKER
        kind = self.dice.choices(list(weights), weights.values())[0]
        verb, target = kind.split()
        if target == "server":
            if verb == "kill":
                field.server.kill()
                time.sleep(self.dice.choice([0, 0, pause]))
                field.server.start()
            else:
                self.freeze([field.server.process.pid], pause)
        elif target == "worker":
            victims = field.workers()
            if not victims:
                return
            victim = self.dice.choice(victims)
            send(victim, signal.SIGKILL) if verb == "kill" else self.aside(self.freeze, [victim], pause)
        elif target == "database":
            if verb == "kill":
                victims = [field.postgres.process.pid]
                if self.dice.random() < 0.3:
                    victims = field.postgres.backends() or victims
                victim = self.dice.choice(victims)
                if victim == field.postgres.process.pid:
                    field.postgres.strike(self.dice.choice([0, 0, pause]))
                else:
                    send(victim, signal.SIGKILL)
            else:
                self.freeze([field.postgres.process.pid, *field.postgres.backends()], pause)
        elif target == "holder":
            self.injure_holder(verb, pause)
        elif target == "broker":
            self.injure_broker(verb, pause)
        elif kind == "cut network":
            self.aside(field.network.cut, pause * 3)
        elif kind == "fill disk":
            self.aside(next(worker for worker in field.standing if worker.disk).fill, pause * 2)
        self.count(kind)

    def injure_broker(self, verb, pause):
        broker = self.field.broker
        if verb == "kill":
            self.field.renew_broker(pause)
            return self.count("kill server")
        # Now and then for longer than a client waits for its answer.
        seconds = pause * (3 if self.dice.random() < 0.8 else 20)
        self.aside(broker.freeze if verb == "stop" else broker.refuse, seconds)

    def injure_holder(self, verb, pause):
        field = self.field
        far = next(worker for worker in field.standing if worker.network)
        holders = list(field.holders().items()) + [(pid, "far") for pid in field.below(far)]
        pid, ident = self.dice.choice(holders)
        if verb == "stop":
            return self.aside(self.freeze, [pid], pause)
        self.taken(self.name(ident))
        send(pid, signal.SIGKILL)
        if ident == "far":
            far.process.wait()
            far.keep()

    def name(self, ident):
        """Of a place, from what the directory of its environment is called."""
        if ident == "far":
            return ident
        known = self.field.call("GET", "/v1/environments?limit=200")["items"]
        return next((item["name"] for item in known if item["id"] == ident), None)

    @staticmethod
    def freeze(pids, seconds):
        for pid in pids:
            send(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            send(pid, signal.SIGCONT)

    def cancel_one(self):
        with self.lock:
            candidates = [run for run in self.open if run.id and not run.cancelled]
            if not candidates:
                return
            run = self.dice.choice(sorted(candidates, key=lambda run: run.number))
            run.cancelled = True
        answer = self.field.call("POST", f"/v1/executions/{run.id}/cancel")
        run.must_cancel = answer["status"] not in ENDED
        self.count("cancel")

    # The whole.

    def execute(self):
        threads = [threading.Thread(target=self.follow, daemon=True) for _ in range(self.options.streams)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self.options.seconds
        try:
            while self.kills() < self.options.kills and time.monotonic() < deadline:
                time.sleep(self.dice.uniform(0, self.options.gap))
                with self.lock:
                    self.streaming.append(len(self.open))
                self.injure()
                if self.field.broker:
                    self.waited += self.field.waiting()
                if self.dice.random() < 0.1:
                    self.cancel_one()
                if sum(self.counts.values()) % 50 == 0:
                    self.say(f"{self.kills()} kills, {len(self.runs)} executions, {len(self.broken)} broken")
        except KeyboardInterrupt:
            self.say("interrupted")
        finally:
            self.stop.set()
        for thread in self.side + threads:
            thread.join(400)
        self.finish()

    def kills(self):
        return sum(count for kind, count in self.counts.items() if kind.startswith("kill"))

    def finish(self):
        """Ends stay what they were; each attempt started once at most; nothing runs on."""
        for run in self.runs:
            if run.id is None:
                continue
            now = self.field.call("GET", f"/v1/executions/{run.id}")
            for key, value in run.end.items():
                if now.get(key) != value:
                    self.breach(run, f"its end changed: {key} was {value}, is {now.get(key)}")
        starts = self.collect()
        for run in self.runs:
            mine = [start for start in starts if start[0] == str(run.number)]
            if len(set(mine)) < len(mine):
                self.breach(run, f"an attempt started twice: {mine}")
            if len(mine) > 1 and not run.repeats:
                self.breach(run, f"started {len(mine)} times although its policy says never")
            if run.status == "completed" and not mine:
                self.breach(run, "completed without a start")
        self.vanish(self.token, "an execution's process")
        if self.field.broker:
            for words in self.field.judge_bus():
                self.breach(None, words)

    def collect(self):
        found = []
        for place in self.field.places:
            if place.is_standing:
                try:
                    found += [tuple(line.split()) for line in (place.directory / "starts").read_text().splitlines()]
                except FileNotFoundError:
                    continue
            elif self.options.provider == "local" or place is self.field.places[0]:
                path = "/v1/executions"
                body = {"command": ["sh", "-c", f"cat {self.starts} || true"], "environment": place.name}
                probe = Run(-1, self.field.call("POST", path, body)["id"], 0, place, False)
                while self.field.call("GET", f"/v1/executions/{probe.id}/wait?timeoutMs=10000")["status"] not in ENDED:
                    continue
                found += [tuple(line.split()) for line in probe.output(self.field, "stdout").decode().splitlines()]
        pathlib.Path(self.starts).unlink(missing_ok=True)
        return found

    def vanish(self, text, words):
        deadline = time.monotonic() + 15
        while found := list(commands(text)):
            if time.monotonic() > deadline:
                return self.breach(None, f"{words} is left: {found}")
            time.sleep(0.05)

    def close(self):
        self.stop.set()
        self.felt = self.feel()
        if self.broken and (self.field.server.data / "server.log").exists():
            log = pathlib.Path("out/chaos/server.log")
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_bytes((self.field.server.data / "server.log").read_bytes())
            if self.field.postgres:
                (log.parent / "postgres.log").write_bytes((self.field.postgres.directory / "log").read_bytes())
        data = str(self.field.server.data)
        self.field.close()
        self.vanish(data, "a process of the server's directory")

    def feel(self):
        """What of the injuries was noticed where it was to hurt."""
        felt = {}
        for worker in self.field.standing:
            if worker.network:
                felt["links lost by the cut worker"] = worker.said('"link lost"')
            if worker.disk:
                felt["disks without a byte left"] = worker.filled
        if self.field.broker:
            felt["lives of the broker"] = len(self.field.broker.lives)
            felt["changes read from it"] = sum(len(read) for _, read in self.field.broker.lives)
            felt["most changes that waited"] = int(max(self.waited, default=0))
        return felt

    def report(self, seconds):
        ends = {}
        for run in self.runs:
            ends[run.status or "none"] = ends.get(run.status or "none", 0) + 1
        return {
            "seed": self.options.seed,
            "database": self.options.database,
            "seconds": round(seconds, 1),
            "injuries": dict(sorted(self.counts.items())),
            "kills": self.kills(),
            "executions": len(self.runs),
            "streaming": round(sum(self.streaming) / max(1, len(self.streaming)), 1),
            "repeated": sum(run.attempt > 1 for run in self.runs),
            "ends": ends,
            "felt": self.felt | {"ends by a full disk": sum(run.code == "disk_full" for run in self.runs)},
            "bytesCompared": sum(run.compared for run in self.runs),
            "violations": self.broken,
        }


def commands(text):
    """Pids of the processes, other than this one, whose command line holds `text`."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text.encode() in (entry / "cmdline").read_bytes():
                    yield int(entry.name)
            except OSError:
                continue


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--environments", type=int, default=5)
    parser.add_argument("--lines", type=int, default=6000, help="at most so many are written by one execution")
    parser.add_argument("--gap", type=float, default=0.8, help="longest wait between injuries, seconds")
    parser.add_argument("--seconds", type=float, default=1800, help="injures no longer than this")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--broker", action="store_true", help="with Kafka's messages on a broker that is injured too")
    parser.add_argument("--provider", default="local")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def interrupt(number, frame):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupt)
    chosen = options()
    chaos = Chaos(chosen)
    chaos.say(f"chaos: seed {chosen.seed}, {chosen.kills} kills, {chosen.streams} streams, {chosen.database}")
    began = time.monotonic()
    try:
        chaos.execute()
    except Failed as failure:
        chaos.breach(None, str(failure))
    finally:
        chaos.close()
    report = chaos.report(time.monotonic() - began)
    if chosen.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            for key, count in value.items() if isinstance(value, dict) else [("", value)]:
                print(f"{name:14} {key:28} {len(count) if isinstance(count, list) else count}")
        for words in report["violations"]:
            print(f"BROKEN {words}")
    return 1 if chaos.broken else 0


if __name__ == "__main__":
    sys.exit(main())
