"""One execution under chaos: its viewer, and what must be true of it in the end."""

import base64
import hashlib
import http.client
import json
import threading
import time

from berth_server import Failed
from children import digest, expected

ENDED = ("completed", "failed", "cancelled", "timedOut")
# Failures of the machinery, which chaos brings about.
LOST = ("environment_lost", "infrastructure_lost", "network", "unavailable", "disk_full")


class Run:
    """`lost`: its machine was taken from under it, so that it may fail. `repeats`: it may be run again."""

    def __init__(self, number, ident, lines, place, repeats):
        self.number, self.id, self.lines, self.place, self.repeats = number, ident, lines, place, repeats
        self.is_agent = place.is_standing
        self.begun = time.monotonic()
        self.lost = False
        self.cancelled = False
        # The server took the cancel before the end: nothing else may be recorded.
        self.must_cancel = False
        self.status = None
        self.code = None
        self.attempt = 0
        self.end = {}
        self.compared = 0
        self.seen = hashlib.sha256()
        self.seen_bytes = 0
        self.ends = 0
        self.is_over = threading.Event()
        # Nobody waits for its viewer any more.
        self.is_judged = threading.Event()
        self.viewer = None

    def watch(self, server):
        def follow():
            after = None
            while not self.ends and not self.is_judged.is_set():
                try:
                    for ident, name, data in server.events(self.id, "raw=true&streams=stdout", after, timeout=30):
                        if name == "stdout":
                            block = base64.b64decode(json.loads(data)["base64"])
                            self.seen.update(block)
                            self.seen_bytes += len(block)
                        elif name == "end":
                            self.ends += 1
                            self.is_over.set()
                        after = ident or after
                except (OSError, http.client.HTTPException, Failed, ValueError):
                    time.sleep(0.05)

        self.viewer = threading.Thread(target=follow, daemon=True)
        self.viewer.start()

    def judge(self, field):
        """Waits for its end; every sentence returned is a breach."""
        try:
            return self.breaches(field)
        finally:
            self.is_judged.set()

    def breaches(self, field):
        answer = field.call("GET", f"/v1/executions/{self.id}/wait?timeoutMs=1000")
        deadline = time.monotonic() + 240
        while answer["status"] not in ENDED:
            if time.monotonic() > deadline:
                return [f"is {answer['status']} after 240 s"]
            answer = field.call("GET", f"/v1/executions/{self.id}/wait?timeoutMs=10000")
        self.status, self.attempt = answer["status"], answer["attempt"]
        self.end = {key: answer.get(key) for key in ("status", "endedAt", "exitCode", "attempt")}
        breaches = []
        if self.must_cancel and self.status != "cancelled":
            breaches.append(f"ended as {self.status} although its cancel had been taken")
        stored = self.output(field, "stdout")
        whole = expected(self.number, self.lines, self.is_agent)
        self.compared = len(stored)
        if self.status != "completed":
            self.code = code = (answer.get("failure") or {}).get("code")
            # Given to a machine that was dying already.
            self.lost = self.lost or self.place.killed_at > self.begun - 5
            excused = self.status == "cancelled" and self.cancelled or self.status == "failed" and self.lost and code in LOST
            if not excused:
                breaches.append(f"ended as {self.status}: {answer.get('failure')}")
            if not whole.startswith(stored):
                breaches.append(f"its {len(stored)} stored bytes are no beginning of what it writes")
            return breaches
        told = self.output(field, "stderr").decode()
        if stored != whole or digest(stored) != told:
            breaches.append(f"{len(stored)} bytes are stored with digest {digest(stored)}, {len(whole)} were written: {told[:80]!r}")
        if answer["report"]["stdout"]["sha256"] != told:
            breaches.append(f"the report tells digest {answer['report']['stdout']['sha256']}, the process {told}")
        self.viewer.join(60)
        if self.ends != 1:
            breaches.append(f"its viewer saw {self.ends} ends")
        elif self.attempt == 1 and self.seen.hexdigest() != told:
            breaches.append(f"its viewer saw {self.seen_bytes} bytes, not the {len(stored)} stored")
        return breaches

    def output(self, field, stream):
        stored = b""
        while True:
            page = field.call("GET", f"/v1/executions/{self.id}/output?stream={stream}&offset={len(stored)}")
            if not page:
                return stored
            stored += page if isinstance(page, bytes) else json.dumps(page).encode()
