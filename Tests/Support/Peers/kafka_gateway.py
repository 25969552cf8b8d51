"""SeaweedFS's Kafka gateway in network and mount namespaces of its own: CACHE. It insists on the port 9093, listens on every
address and keeps its sockets in /tmp, so two of them share a machine only in this way; nothing of it outlives this program.
Prints `gateway HOST:PORT`, an address of the loopback outside, once it answers there; a relay carries the connections in.
Takes `kill` (everything of it, at once) and `start` (with nothing in it, at the same address) on its standard input, prints
`done WORD` when it is so, and ends with it. The gateway exits when the broker behind it has not registered yet, and its own start-up may
hang: it is started again until a deadline.

As `kafka_gateway.py inside WEED LISTENER HOST` it is the part within: descriptors of the program and of the listening socket."""
import ctypes
import http.server
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PORT = 9093


def outside(cache):
    weed = os.open(cache + "/kafka/weed", os.O_RDONLY)
    listener = socket.socket()
    while True:
        host = "127.%d.%d.%d" % (random.randrange(64, 250), random.randrange(1, 250), random.randrange(2, 250))
        try:
            listener.bind((host, PORT))
            break
        except OSError:
            continue
    listener.listen(128)
    os.set_inheritable(weed, True)
    os.set_inheritable(listener.fileno(), True)
    os.execvp("unshare", [
        "unshare", "--user", "--map-root-user", "--mount", "--net", sys.executable, os.path.abspath(__file__),
        "inside", str(weed), str(listener.fileno()), host,
    ])


def with_parent():
    """A child does not outlive this program (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start(weed, log, *arguments):
    return subprocess.Popen(
        ["/proc/self/fd/%d" % weed, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=[weed],
        preexec_fn=with_parent,
    )


def answers(host, port, child, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        try:
            socket.create_connection((host, port), 1).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


def end(child):
    child.kill()
    child.wait()


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


def broker(weed, log, host, deadline):
    """What the gateway stands before. A fresh directory each time: a broken start leaves nothing."""
    while time.monotonic() < deadline:
        child = start(
            weed, log, "server", "-dir=" + tempfile.mkdtemp(), "-ip=" + host, "-ip.bind=" + host, "-master.port=19333",
            "-volume.port=18080", "-filer", "-filer.port=18888", "-mq.broker", "-mq.broker.port=17777", "-volume.max=20",
            "-master.volumeSizeLimitMB=256",
        )
        if answers(host, 17777, child, 40):
            return child
        end(child)
    sys.exit("the broker behind the gateway did not start:\n" + tail())


def gateway(weed, log, host, deadline):
    while time.monotonic() < deadline:
        child = start(
            weed, log, "mq.kafka.gateway", "-ip=" + host, "-ip.bind=" + host, "-port=%d" % PORT,
            "-master=" + host + ":19333", "-schema-registry-url=http://" + host + ":18081",
        )
        if answers(host, PORT, child, 15):
            return child
        end(child)
        time.sleep(0.5)
    sys.exit("the gateway did not start:\n" + tail())


def tail():
    return open("/tmp/log", errors="replace").read()[-3000:]


def both(weed, log, host):
    deadline = time.monotonic() + 170
    behind = broker(weed, log, host, deadline)
    return [gateway(weed, log, host, deadline), behind]


def carry(source, target):
    try:
        while data := source.recv(1 << 18):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def relay(listener, host):
    while True:
        client, _ = listener.accept()
        try:
            peer = socket.create_connection((host, PORT))
        except OSError:
            client.close()
            continue
        for pair in ((client, peer), (peer, client)):
            threading.Thread(target=carry, args=pair, daemon=True).start()


def inside(weed, listener, host):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "gateway", "/tmp"], check=True)
    os.chdir("/tmp")
    log = open("/tmp/log", "ab")
    registry = http.server.ThreadingHTTPServer((host, 18081), Registry)
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    running = both(weed, log, host)
    threading.Thread(target=relay, args=(socket.socket(fileno=listener), host), daemon=True).start()
    print("gateway %s:%d" % (host, PORT), flush=True)
    for line in sys.stdin:
        word = line.strip()
        if word == "kill":
            for child in running:
                end(child)
        elif word == "start":
            running = both(weed, log, host)
        print("done " + word, flush=True)


if sys.argv[1] == "inside":
    inside(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
else:
    outside(sys.argv[1])
