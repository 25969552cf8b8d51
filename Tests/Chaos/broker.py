"""A broker under the server: librdkafka's mock cluster in a process of its own, and who reads along.

It keeps its records in memory, so a kill loses them. What is judged is therefore the server's outbox: in one life of the
broker the changes of executions come in the order of the feed and without a hole, a new life goes on where the server's
position stands, and in the end nothing waits.
"""

import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "Fixtures" / "broker-fixture" / "main.c"
TOPICS = [f"persona.{name}.v1:1" for name in ("exec", "output", "lifecycle", "events", "dlq")]


class Broker:
    """`lives` holds, for each life, the server's position at its beginning and the sequence numbers that were read."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-chaos-broker-"))
        self.program = self.directory / "broker-fixture"
        subprocess.run(["cc", "-O1", "-o", str(self.program), str(FIXTURE), "-lrdkafka"], check=True)
        self.process = self.reader = self.pump = None
        self.lives = []
        self.lock = threading.Lock()
        self.start(0)

    def start(self, position):
        self.process = subprocess.Popen(
            [str(self.program), "1", *TOPICS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )
        self.address = self.process.stdout.readline().split()[1]
        self.reader = subprocess.Popen(
            ["kcat", "-C", "-E", "-q", "-u", "-b", self.address, "-t", "persona.lifecycle.v1", "-o", "beginning", "-f", "%s\n"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )
        read = []
        self.lives.append((position, read))
        self.pump = threading.Thread(target=self.read, args=(self.reader, read), daemon=True)
        self.pump.start()

    @staticmethod
    def read(reader, into):
        for line in reader.stdout:
            into.append(json.loads(line)["sequence"])

    def kill(self):
        for process in (self.process, self.reader):
            if process and process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        self.pump.join(10)

    def freeze(self, seconds):
        """Connections stand, and nobody answers."""
        self.outage(lambda: self.process.send_signal(signal.SIGSTOP), lambda: self.process.send_signal(signal.SIGCONT), seconds)

    def refuse(self, seconds):
        """Connections are closed and refused; the records stay."""
        self.outage(lambda: self.command("down 1"), lambda: self.command("up 1"), seconds)

    def outage(self, begin, end, seconds):
        if not self.lock.acquire(blocking=False):
            return
        try:
            begin()
            time.sleep(seconds)
            end()
        finally:
            self.lock.release()

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def judge(self, relevant):
        """Every sentence returned is a breach. `relevant`: the sequence numbers that belong on the topic, in order."""
        place = {sequence: index for index, sequence in enumerate(relevant)}
        for number, (position, read) in enumerate(self.lives):
            next_place = sum(sequence <= position for sequence in relevant)
            for sequence in read:
                if sequence not in place:
                    yield f"the broker's life {number} has change {sequence}, which is none"
                elif place[sequence] > next_place:
                    hole = relevant[next_place]
                    yield f"the broker's life {number} has change {sequence} without {hole} before it"
                    break
                else:
                    next_place = max(next_place, place[sequence] + 1)
        if relevant and (not self.lives[-1][1] or max(self.lives[-1][1]) < relevant[-1]):
            yield f"the last change, {relevant[-1]}, never came to the broker"

    def close(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
