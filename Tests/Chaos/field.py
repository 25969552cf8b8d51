"""The deployment that chaos is let loose on: real programs in directories, namespaces and ports of their own."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

from broker import Broker
from berth_server import BIN, Failed, Server, processes
from children import AGENT

POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")


def send(pid, number):
    try:
        if pid:
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def parent(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


class Postgres:
    """A cluster with fsync on, killed and started again on the same files."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-chaos-pg-"))
        shutil.chown(self.directory, "postgres", "postgres")
        self.run("initdb", "-D", str(self.directory / "data"), "-U", "berth", "-A", "trust", "-E", "UTF8", "--locale=C")
        self.process = None
        self.lock = threading.Lock()
        self.is_closed = threading.Event()
        self.start()
        self.run("createdb", "-h", str(self.directory), "-U", "berth", "berth")
        threading.Thread(target=self.keep, daemon=True).start()

    def keep(self):
        """As who supervises a service: a postmaster whose recovery was killed gives up, and is started again."""
        while not self.is_closed.wait(0.2):
            with self.lock:
                if self.process.poll() is not None and not self.is_closed.is_set():
                    self.start()

    def strike(self, pause):
        """Killed, away for so long, and started again."""
        with self.lock:
            self.kill()
            time.sleep(pause)
            self.start()

    def as_user(self, program, *arguments):
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", str(POSTGRES / program), *arguments]

    def run(self, program, *arguments):
        subprocess.run(self.as_user(program, *arguments), check=True, capture_output=True, cwd=self.directory)

    @property
    def url(self):
        return f"postgres://berth@/berth?host={self.directory}"

    def start(self):
        deadline = time.monotonic() + 30
        while True:
            log = open(self.directory / "log", "ab")
            self.process = subprocess.Popen(
                self.as_user(
                    "postgres", "-D", str(self.directory / "data"), "-k", str(self.directory), "-c", "listen_addresses=",
                    # In its own directory, where a kill leaves nothing behind.
                    "-c", "dynamic_shared_memory_type=mmap",
                ),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.directory,
            )
            log.close()
            while self.process.poll() is None:
                ready = subprocess.run(
                    [str(POSTGRES / "pg_isready"), "-q", "-h", str(self.directory), "-U", "berth"], capture_output=True
                )
                if ready.returncode == 0:
                    return
                time.sleep(0.02)
            # Processes of the killed one are still on their way out.
            if time.monotonic() > deadline:
                raise Failed((self.directory / "log").read_text()[-2000:])
            time.sleep(0.05)

    def rows(self, query):
        return subprocess.run(
            ["psql", "-h", str(self.directory), "-U", "berth", "-At", "berth", "-c", query], capture_output=True, text=True
        ).stdout

    def backends(self):
        return [pid for pid in processes("postgres", lambda pid: parent(pid) == self.process.pid)]

    def kill(self):
        """The postmaster, and then what of its family has not noticed: one that waits for a frozen client never does."""
        family = self.backends()
        send(self.process.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + 1
        while left := [pid for pid in processes("postgres", lambda pid: pid in family)]:
            if time.monotonic() > deadline:
                for pid in left:
                    send(pid, signal.SIGKILL)
            time.sleep(0.02)

    def close(self):
        self.is_closed.set()
        with self.lock:
            if self.process and self.process.poll() is None:
                send(self.process.pid, signal.SIGINT)
                try:
                    self.process.wait(10)
                except subprocess.TimeoutExpired:
                    self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Place:
    """Where executions run."""

    is_standing = False

    def __init__(self, name):
        self.name = name
        # When its holder was killed last (monotonic).
        self.killed_at = -1e9


class StandingWorker(Place):
    """A holder and its worker on a host of their own: a network namespace, or a small disk for what the worker keeps."""

    is_standing = True

    def __init__(self, name, server, token, *, network=None, disk=None):
        super().__init__(name)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-chaos-worker-"))
        for part in ("bin", "state", "home"):
            (self.directory / part).mkdir(mode=0o700)
        (self.directory / "token").write_text(token)
        agent = self.directory / "bin" / "claude"
        agent.write_text(AGENT)
        agent.chmod(0o755)
        self.server, self.network, self.disk = server, network, disk
        # How often its disk had no byte left.
        self.filled = 0
        self.process = None
        self.start()

    def start(self):
        host = self.network.host if self.network else "127.0.0.1"
        command = [
            str(BIN / "berth-hold"), "--socket", str(self.directory / "hold"), "--grace", "100",
            "--worker", str(BIN / "berth-worker"), "--link", f"ws://{host}:{self.server.port}",
            "--token-file", str(self.directory / "token"), "--state", str(self.directory / "state"),
            "--worker-id", self.name,
        ]
        if self.disk:
            mount = f"mount -t tmpfs -o size={self.disk} none '{self.directory}/state' && chmod 700 '{self.directory}/state'"
            command = ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
        if self.network:
            command = self.network.inside(command)
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={"PATH": f"{self.directory}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.directory / "home"), "LANG": "C.UTF-8"},
        )
        log.close()

    def keep(self):
        """A holder that was killed is started again, as a machine is."""
        if self.process.poll() is not None:
            self.start()

    def fill(self, seconds):
        """No room on the worker's disk for a while."""
        file = f"{self.directory}/state/fill"
        inside = ["nsenter", "-m", "-t", str(self.process.pid)]
        filled = subprocess.run([*inside, "sh", "-c", f"cat /dev/zero >'{file}'"], capture_output=True, text=True)
        self.filled += "No space left" in filled.stderr
        time.sleep(seconds)
        subprocess.run([*inside, "rm", "-f", file], capture_output=True)

    def said(self, words):
        """Lines of its log that hold `words`."""
        return sum(words in line for line in (self.directory / "log").read_text(errors="replace").splitlines())

    def close(self):
        if self.process and self.process.poll() is None:
            send(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                send(self.process.pid, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Network:
    """A network namespace behind a cable that can be pulled."""

    def __init__(self):
        number = os.getpid() % 16000
        self.name, self.cable = f"berth-chaos-{os.getpid()}", f"bch{os.getpid()}"[:13]
        block = f"10.{200 + number // 8000}.{(number // 64) % 250}.{(number % 64) * 4}".rsplit(".", 1)
        self.host, guest = (f"{block[0]}.{int(block[1]) + offset}" for offset in (1, 2))
        for line in (
            f"ip netns add {self.name}", f"ip link add {self.cable} type veth peer name up0 netns {self.name}",
            f"ip addr add {self.host}/30 dev {self.cable}", f"ip link set {self.cable} up",
            f"ip -n {self.name} addr add {guest}/30 dev up0", f"ip -n {self.name} link set up0 up",
            f"ip -n {self.name} link set lo up",
        ):
            subprocess.run(line.split(), check=True, capture_output=True)

    def inside(self, command):
        return ["ip", "netns", "exec", self.name, *command]

    def cut(self, seconds):
        subprocess.run(["ip", "link", "set", self.cable, "down"], check=True)
        time.sleep(seconds)
        subprocess.run(["ip", "link", "set", self.cable, "up"], check=True)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
        subprocess.run(["ip", "link", "del", self.cable], capture_output=True)


class Field:
    """Everything together. `call` may be used by several threads."""

    def __init__(self, seed, database, environments, provider, has_broker=False):
        self.postgres = self.network = self.broker = None
        self.standing = []
        self.server = None
        try:
            self.make(seed, database, environments, provider, has_broker)
        except BaseException:
            self.close()
            raise

    def make(self, seed, database, environments, provider, has_broker):
        token = f"chaos-worker-{seed}"
        os.environ["BERTH_WORKER_TOKEN"] = token
        if database == "postgres":
            self.postgres = Postgres()
            os.environ["BERTH_DATABASE"] = self.postgres.url
        if has_broker:
            self.broker = Broker()
            os.environ["KAFKA_BROKERS"] = self.broker.address
        self.network = Network()
        self.server = Server(hosts=["127.0.0.1", self.network.host])
        self.lock = threading.Lock()
        self.server.start()
        self.places = []
        for number in range(environments):
            name = f"chaos-{number}"
            self.call("POST", "/v1/environments", {"name": name, "provider": provider})
            self.server.environment(name)
            self.places.append(Place(name))
        self.standing = [
            StandingWorker("far", self.server, token, network=self.network),
            StandingWorker("small", self.server, token, disk="24m"),
        ]
        self.places += self.standing

    def call(self, method, path, body=None, seconds=120, key=None):
        """Asks again while the server, or its database, is away. A request to make something carries its key."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                connection = self.server.connect(timeout=60)
                try:
                    headers = {"Authorization": f"Bearer {self.server.key}"}
                    if key:
                        headers["Idempotency-Key"] = key
                    if body is not None:
                        headers["Content-Type"] = "application/json"
                    connection.request(method, path, None if body is None else json.dumps(body), headers)
                    response = connection.getresponse()
                    data = response.read()
                finally:
                    connection.close()
                if response.status < 300:
                    return json.loads(data) if "json" in (response.getheader("content-type") or "") else data
                if response.status not in (500, 502, 503, 504, 507):
                    raise Failed(f"{method} {path}: {response.status} {data[:400]}")
                problem = f"{response.status} {data[:400]}"
                if response.status == 500:
                    print(f"  500 from {method} {path}: {data[:300]}", flush=True)
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            if time.monotonic() > deadline:
                raise Failed(f"{method} {path}: no answer for {seconds} s, at last {problem}")
            time.sleep(0.02)

    def holders(self):
        """By place: the holder's pid."""
        found = {}
        for record in self.server.data.glob("environments/*/instance"):
            for line in record.read_text().splitlines():
                if line.startswith("holder "):
                    found[int(line.split()[1])] = record.parent.name
        alive = set(processes("berth-hold", lambda pid: True))
        return {pid: ident for pid, ident in found.items() if pid in alive}

    def workers(self):
        owners = set(self.holders()) | {pid for worker in self.standing for pid in self.below(worker)}
        return sorted(processes("berth-worker", lambda pid: parent(pid) in owners))

    @staticmethod
    def below(worker):
        """The holder of a standing worker: the process itself, or what its wrapper became."""
        return [worker.process.pid]

    def rows(self, query):
        """Lines of the database's answer, its columns with | between them."""
        if self.postgres:
            return self.postgres.rows(query).splitlines()
        connection = sqlite3.connect(f"file:{self.server.data}/berth.sqlite?mode=ro", uri=True, timeout=30)
        try:
            return ["|".join(map(str, row)) for row in connection.execute(query)]
        finally:
            connection.close()

    def renew_broker(self, pause):
        """The broker dies with its records; another takes its place where the server then finds it."""
        with self.broker.lock:
            self.broker.kill()
            time.sleep(pause)
            self.server.kill()
            self.broker.start(self.published())
            self.server.variables["KAFKA_BROKERS"] = self.broker.address
        self.server.start()

    def published(self):
        """The server's position in the feed; waits for a database that is away."""
        deadline = time.monotonic() + 60
        while not (found := self.rows("SELECT seq FROM bus_positions WHERE bus = 'kafka'")):
            if time.monotonic() > deadline:
                raise Failed("the database does not tell what was published")
            time.sleep(0.1)
        return int(found[0])

    def waiting(self):
        """How many changes of the feed are not published yet; nothing while the database is away."""
        query = "SELECT f.seq - p.seq FROM feed f JOIN bus_positions p ON p.organization_id = f.organization_id WHERE p.bus = 'kafka'"
        return [int(line) for line in self.rows(query)]

    def gauge(self, name):
        """One figure of the server's metrics."""
        for line in self.call("GET", "/metrics").decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise Failed(f"there is no {name}")

    def judge_bus(self):
        """Once nothing happens any more: all of it is on the broker, in order."""
        deadline = time.monotonic() + 120
        while self.gauge("berth_bus_waiting_events") > 0 or self.gauge("berth_bus_reached") < 1:
            if time.monotonic() > deadline:
                return [f"{self.gauge('berth_bus_waiting_events')} changes still wait for the broker after 120 s"]
            time.sleep(0.2)
        wanted = [int(line) for line in self.rows(
            "SELECT seq FROM events WHERE type LIKE 'execution.%' AND type <> 'execution.event' ORDER BY seq"
        )]
        # What is published is read a moment later.
        while time.monotonic() < deadline and wanted[-1] not in self.broker.lives[-1][1]:
            time.sleep(0.2)
        return list(self.broker.judge(wanted))

    def evidence(self, ident):
        """What the database has of an execution, for whoever looks into a breach."""
        if not self.postgres:
            return ""
        return "".join(
            self.postgres.rows(query) for query in (
                f"SELECT * FROM execution_attempts WHERE execution_id = '{ident}' ORDER BY attempt",
                f"SELECT seq, type, payload, recorded_at FROM events WHERE subject = '{ident}' ORDER BY seq",
                "SELECT attempt, stream, start_offset, end_offset, length(bytes), md5(bytes), xmin FROM output_chunks "
                f"WHERE execution_id = '{ident}' ORDER BY 1, 2, 3",
            )
        )

    def again(self):
        try:
            self.server.start()
        except (Failed, OSError):
            pass

    def close(self):
        for worker in self.standing:
            worker.close()
        if self.server:
            if self.server.process and self.server.process.poll() is not None:
                # Once more, to take down what it made.
                self.again()
            holders = self.server.holders()
            self.server.close()
            for pid in holders & set(processes("berth-hold", lambda pid: True)):
                send(pid, signal.SIGKILL)
        if self.network:
            self.network.close()
        if self.broker:
            self.broker.close()
        if self.postgres:
            self.postgres.close()
