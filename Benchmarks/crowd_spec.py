"""Rows of the numeric specification about many workers, many executions and servers that were killed."""

import hashlib
import json
import os
import resource
import time

from berth_server import Failed, Server
from dispatch_load import Workers, enqueue_to_done, pieces, text_frame
from measure import anonymous_kilobytes, seconds_used
from queue_sides import Dispatcher
from websocket_link import BINARY, CLOSE, PING, head

EXECUTIONS = int(os.environ.get("SPEC_EXECUTIONS", "100000"))
WORKERS = int(os.environ.get("SPEC_WORKERS", "10000"))
STREAMS = int(os.environ.get("SPEC_STREAMS", "1000"))
STREAM_SECONDS = int(os.environ.get("SPEC_STREAM_SECONDS", "60"))
REAL_WORKERS = 20
PIECE, PIECES_A_SECOND = b"x" * 4000, 10
HEARTBEAT_SECONDS = 30
DATA, CREDIT, END = 1, 2, 3


def allow_descriptors(count):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count), hard))


def restart(row):
    """Ready again after kill -9, with all those executions in the database."""
    side = Dispatcher()
    try:
        enqueue_to_done(side, EXECUTIONS, workers=100, slots=1)
        times = []
        for _ in range(3):
            side.server.kill()
            times.append(side.server.start())
        row(f"ready after kill -9, {EXECUTIONS:,} executions", max(times), "s", 1)
    finally:
        side.close()


def connected(server):
    status, answer = server.request("GET", "/v1/workers")
    return status == 200 and any(worker["isConnected"] for worker in answer["items"])


def reattach(row):
    """From the server's start until its worker, which runs an execution, is there again."""
    server = Server()
    try:
        server.start()
        server.call("POST", "/v1/environments", {"name": "spec"})
        server.environment("spec")
        running = server.create(["sleep", "300"], "spec")
        short = []
        for outage in (0.5, 1, 2, 3, 10):
            while server.call("GET", f"/v1/executions/{running}")["status"] != "running":
                time.sleep(0.01)
            server.kill()
            time.sleep(outage)
            begin = time.monotonic()
            server.start()
            while not connected(server):
                if time.monotonic() - begin > 60:
                    raise Failed(f"the worker has not come back 60 s after an outage of {outage} s")
                time.sleep(0.01)
            took = time.monotonic() - begin
            if outage <= 3:
                short.append(took)
        row("worker back after an outage of 0.5 to 3 s, max", max(short), "s", 3)
        row("worker back after an outage of 10 s", took, "s", 8)
        if server.call("GET", f"/v1/executions/{running}")["attempt"] != 1:
            raise Failed("the execution that ran through the outages was begun again")
        server.call("POST", f"/v1/executions/{running}/cancel")
        server.wait(running)
    finally:
        server.close()


def heartbeats(row):
    """Workers that have nothing to do and say so every 30 s."""
    allow_descriptors(2 * WORKERS + 1000)
    side = Dispatcher()
    crew = None
    try:
        before = anonymous_kilobytes(side.pid)
        crew = Workers(side, WORKERS, 1, "idle")
        crew.ready()
        beat = text_frame(json.dumps({"type": "heartbeat", "timestamp": int(time.time() * 1000)}).encode())
        workers = list(crew.workers.values())

        def beats(seconds):
            begin, sent = time.monotonic(), 0
            while (elapsed := time.monotonic() - begin) < seconds:
                due = int(elapsed * len(workers) / HEARTBEAT_SECONDS)
                while sent < due:
                    workers[sent % len(workers)].send_some(beat)
                    sent += 1
                crew.step(0.02)

        # What the coming of so many took is given back meanwhile.
        beats(15)
        used, begin = seconds_used(side.pid), time.monotonic()
        beats(30)
        share = (seconds_used(side.pid) - used) / (time.monotonic() - begin)
        each = (anonymous_kilobytes(side.pid) - before) / WORKERS
        row(f"{WORKERS:,} workers with heartbeats, of a core", share * 100, "%", 5)
        row(f"{WORKERS:,} workers with heartbeats, each", each, "KB", 12)
    finally:
        if crew:
            crew.close()
        side.close()


class Streamer:
    """An execution of a worker that stands alone: bytes at a steady rate, then its end."""

    def __init__(self, worker):
        self.worker = worker
        self.name, self.sent, self.limit, self.ended = None, 0, 0, False

    def begin(self, name):
        self.name = name
        for message in (
            {"type": "started", "attempt": 1},
            {"type": "open", "channel": 1, "attempt": 1, "stream": "stdout", "offset": 0},
        ):
            before, after = pieces(message)
            self.worker.out += before + name + after

    def put(self, kind, payload=b""):
        body = bytes((kind,)) + (1).to_bytes(4, "big") + self.sent.to_bytes(8, "big") + payload
        self.worker.out += head(BINARY, len(body), bytes(4)) + body

    def step(self):
        worker = self.worker
        for opcode, payload in worker.waiting + worker.frames.take(worker.receive_some()):
            if opcode == BINARY and payload[0] == CREDIT:
                self.limit = int.from_bytes(payload[5:13], "big")
            elif opcode == PING:
                worker.pong(payload)
            elif opcode == CLOSE:
                raise Failed(f"a stream was cut off: {payload!r}")
            elif payload.find(b'"type":"assign"') >= 0:
                at = payload.find(b'"executionId":"') + 15
                self.begin(payload[at : at + 31])
            elif payload.find(b'"type":"forget"') >= 0:
                self.ended = True
        worker.waiting = []
        self.flush()

    def flush(self):
        worker = self.worker
        if worker.out:
            worker.out = worker.out[worker.send_some(worker.out) :]


WRITER = (
    "import sys,time\n"
    f"for n in range({STREAM_SECONDS * PIECES_A_SECOND}):\n"
    f"    sys.stdout.buffer.write(b'x' * {len(PIECE)}); sys.stdout.flush(); time.sleep({1 / PIECES_A_SECOND})\n"
)


def streams(row):
    """So many connections at 40 KB/s each, some of them real workers: every byte is stored, and nobody is cut off."""
    allow_descriptors(4 * STREAMS + 1000)
    side = Dispatcher()
    crew = None
    try:
        server = side.server
        for number in range(REAL_WORKERS):
            server.call("POST", "/v1/environments", {"name": f"real-{number}"})
        for number in range(REAL_WORKERS):
            server.environment(f"real-{number}")
        crew = Workers(side, STREAMS - REAL_WORKERS, 1, "stream")
        crew.ready()
        every = {descriptor: Streamer(worker) for descriptor, worker in crew.workers.items()}
        for _ in every:
            server.call("POST", "/api/execute", {"personaId": "spec", "prompt": "stream"})
        real = [server.create(["python3", "-c", WRITER], f"real-{number}") for number in range(REAL_WORKERS)]
        total = STREAM_SECONDS * PIECES_A_SECOND * len(PIECE)
        digest = hashlib.sha256(PIECE * (STREAM_SECONDS * PIECES_A_SECOND)).hexdigest()
        mark = {"totalBytes": total, "headBytes": total, "tailBytes": 0, "sha256": digest}
        empty = {"totalBytes": 0, "headBytes": 0, "tailBytes": 0, "sha256": hashlib.sha256().hexdigest()}
        report = {"outcome": "completed", "exitCode": 0, "durationMs": 1, "stdout": mark, "stderr": empty}
        complete = pieces(
            {"type": "complete", "attempt": 1, "status": "completed", "exitCode": 0, "durationMs": 1, "report": report}
        )
        used, begin = seconds_used(side.pid), time.monotonic()
        finished = 0
        while finished < len(every):
            if time.monotonic() - begin > 3 * STREAM_SECONDS + 60:
                raise Failed(f"{finished} of {len(every)} streams had ended after {time.monotonic() - begin:.0f} s")
            for descriptor, _ in crew.poll.poll(0.01):
                streamer = every[descriptor]
                was = streamer.ended
                streamer.step()
                finished += streamer.ended and not was
            due = int((time.monotonic() - begin) * PIECES_A_SECOND) * len(PIECE)
            for streamer in every.values():
                goal = min(due, total, streamer.limit)
                if streamer.name is None or streamer.sent >= goal or streamer.sent == total:
                    continue
                while streamer.sent < goal and goal - streamer.sent >= len(PIECE):
                    streamer.put(DATA, PIECE)
                    streamer.sent += len(PIECE)
                if streamer.sent == total:
                    streamer.put(END)
                    streamer.worker.out += complete[0] + streamer.name + complete[1]
                streamer.flush()
        took, share = time.monotonic() - begin, (seconds_used(side.pid) - used) / (time.monotonic() - begin)
        for execution in real:
            ended = server.wait(execution)
            if ended["report"]["stdout"] != mark:
                raise Failed(f"a real worker's stream ended as {ended['report']['stdout']}")
        stored = 0
        for streamer in every.values():
            ended = server.call("GET", f"/v1/executions/{streamer.name.decode()}")
            stored += ended["status"] == "completed" and ended["attempt"] == 1 and ended["report"]["stdout"] == mark
        # The server reads every stored stream again at its end and says so where the digest is another.
        wrong = sum("output d" in line for line in (server.data / "server.log").read_text().splitlines())
        row(f"streams of 40 KB/s for {STREAM_SECONDS} s stored whole", stored + len(real) - wrong, "", STREAMS, at_least=True)
        row("the last of them stored after their last byte", took - STREAM_SECONDS, "s", 10)
        row("server's part of a core meanwhile", share * 100, "%", 200)
    finally:
        if crew:
            crew.close()
        side.close()


PARTS = [restart, reattach, heartbeats, streams]
