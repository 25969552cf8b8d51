"""SeaweedFS's Kafka gateway on a loopback address of its own: CACHE. Prints `gateway HOST:PORT` once it answers, takes
`kill` and `start` on standard input (`done WORD` when it is so), and ends with it. The gateway exits when the broker behind
it has not registered yet, and its own start-up may hang: it is tried again until a deadline."""
import atexit
import ctypes
import http.server
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

WEED = sys.argv[1] + "/kafka/weed"
HOST = "127.%d.%d.%d" % (random.randrange(64, 250), random.randrange(1, 250), random.randrange(2, 250))
DIRECTORY = tempfile.mkdtemp(prefix="berth-gateway-")
children = []


def with_parent():
    """A child does not outlive this program (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def end():
    for child in children:
        child.kill()
        child.wait()
    shutil.rmtree(DIRECTORY, ignore_errors=True)


atexit.register(end)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def start(*arguments):
    log = open(DIRECTORY + "/log", "ab")
    child = subprocess.Popen([WEED, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=with_parent)
    children.append(child)
    return child


def answers(port):
    try:
        socket.create_connection((HOST, port), 1).close()
        return True
    except OSError:
        return False


def wait(port, child, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        if answers(port):
            return True
        time.sleep(0.1)
    return False


class Registry(http.server.BaseHTTPRequestHandler):
    """The gateway insists on a schema registry; an empty one will do."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_):
        pass


registry = http.server.ThreadingHTTPServer((HOST, 18081), Registry)
threading.Thread(target=registry.serve_forever, daemon=True).start()
deadline = time.monotonic() + 150
server = start(
    "server", "-dir=" + DIRECTORY, "-ip=" + HOST, "-ip.bind=" + HOST, "-master.port=19333", "-volume.port=18080", "-filer",
    "-filer.port=18888", "-mq.broker", "-mq.broker.port=17777", "-volume.max=20", "-master.volumeSizeLimitMB=64",
)
if not wait(17777, server, 60):
    sys.exit("the broker behind the gateway did not start")


def gateway():
    while time.monotonic() < deadline:
        child = start(
            "mq.kafka.gateway", "-ip=" + HOST, "-ip.bind=" + HOST, "-port=9093", "-master=" + HOST + ":19333",
            "-schema-registry-url=http://" + HOST + ":18081",
        )
        if wait(9093, child, 10):
            return child
        child.kill()
        child.wait()
        children.remove(child)
        time.sleep(0.5)
    sys.exit("the gateway did not start")


running = gateway()
print("gateway %s:9093" % HOST, flush=True)
for line in sys.stdin:
    word = line.strip()
    if word == "kill":
        running.kill()
        running.wait()
        children.remove(running)
    elif word == "start":
        deadline = time.monotonic() + 150
        running = gateway()
    print("done " + word, flush=True)
