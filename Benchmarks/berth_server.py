"""Starts the shipped server on a directory of its own and speaks its API; for benchmarks and chaos, not for products."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("BERTH_BIN", ROOT / "out" / "bin"))
# A connection that has been idle for longer is not used again: the server may be closing it.
KEPT_SECONDS = 30


class Failed(Exception):
    pass


def certificate(folder):
    """A key and a certificate for 127.0.0.1 that signs itself; their paths."""
    chain, key = pathlib.Path(folder, "certificate.pem"), pathlib.Path(folder, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=berth", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)],
        check=True, capture_output=True,
    )
    return chain, key


class Server:
    """`berth serve` with a private data directory and a port of its own choosing.

    With `tls`, the path of a certificate for 127.0.0.1 and of its key, it speaks TLS.
    """

    def __init__(self, *flags, data=None, tls=None, hosts=("127.0.0.1",), variables=None):
        self.flags = list(flags)
        # Listens at each of them; it is spoken to at the first.
        self.hosts = hosts
        self.variables = {**os.environ, **(variables or {})}
        self.trust = None
        if tls:
            self.flags += ["--tls-certificate", str(tls[0]), "--tls-key", str(tls[1])]
            self.trust = ssl.create_default_context(cafile=str(tls[0]))
        self.owned = data is None
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="berth-bench-"))
        self.process = None
        self.connection = None
        self.used = 0
        self.port = 0

    def start(self):
        """Returns the seconds from exec to the first answered /readyz."""
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        log = open(self.data / "server.log", "ab")
        listen = ",".join(f"{host}:{self.port}" for host in self.hosts)
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [str(BIN / "berth"), "serve", "--data", str(self.data), "--listen", listen, *self.flags],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env=self.variables,
        )
        log.close()
        while True:
            try:
                self.connection = None
                status, _ = self.request("GET", "/readyz", authorized=False)
                if status == 200:
                    return time.monotonic() - begin
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - begin > 20:
                raise Failed((self.data / "server.log").read_text()[-2000:])
            time.sleep(0.001)

    @property
    def url(self):
        return f"{'https' if self.trust else 'http'}://127.0.0.1:{self.port}"

    @property
    def key(self):
        return (self.data / "api-key").read_text().strip()

    def connect(self, timeout=120):
        if self.trust:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.trust)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(self, method, path, body=None, authorized=True, connection=None):
        if time.monotonic() - self.used > KEPT_SECONDS:
            self.connection = None
        self.used = time.monotonic()
        connection = connection or self.connection
        if connection is None:
            connection = self.connection = self.connect()
        headers = {"Authorization": f"Bearer {self.key}"} if authorized else {}
        payload = None
        if body is not None:
            payload = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException):
            if connection is self.connection:
                self.connection = None
            raise OSError("no answer")
        is_json = "json" in (response.getheader("content-type") or "")
        return response.status, json.loads(data) if is_json and data else data

    def call(self, method, path, body=None):
        status, answer = self.request(method, path, body)
        if status >= 300:
            raise Failed(f"{method} {path}: {status} {answer}")
        return answer

    def create(self, command, environment=None, **more):
        body = {"command": command, **more}
        if environment:
            body["environment"] = environment
        return self.call("POST", "/v1/executions", body)["id"]

    def wait(self, execution, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self.call("GET", f"/v1/executions/{execution}/wait?timeoutMs=60000")
            if answer["status"] in ("completed", "failed", "cancelled", "timedOut"):
                return answer
        raise Failed(f"{execution} has not ended after {seconds} s")

    def run(self, command, environment=None, **more):
        return self.wait(self.create(command, environment, **more))

    def events(self, execution, query="raw=true", after=None, timeout=120):
        """A generator of (id, event, data) of one execution's stream, until it closes."""
        connection = self.connect(timeout)
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "text/event-stream"}
        if after:
            headers["Last-Event-ID"] = after
        connection.request("GET", f"/v1/executions/{execution}/events?{query}", headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise Failed(f"events: {response.status} {response.read()[:300]}")
        name, ident, data = "message", None, []
        for raw in response:
            line = raw.rstrip(b"\r\n")
            if not line:
                if data:
                    yield ident, name, b"\n".join(data)
                name, data = "message", []
            elif line.startswith(b"event:"):
                name = line[6:].strip().decode()
            elif line.startswith(b"id:"):
                ident = line[3:].strip().decode()
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
        connection.close()

    def environment(self, name, status="running", seconds=60):
        """Once it has this status, which is waited for as the CLI does: by its next version."""
        deadline = time.monotonic() + seconds
        path, query = f"/v1/environments/{urllib.parse.quote(name)}", ""
        while time.monotonic() < deadline:
            found = self.call("GET", path + query)
            if found["status"] == status:
                return found
            if found["status"] == "error":
                raise Failed(f"environment {name}: {found.get('statusMessage')}")
            query = f"?afterVersion={found['version']}&waitMs=1000"
        raise Failed(f"environment {name} is {found['status']}, not {status}")

    def holders(self):
        """Pids of the holders of this server's environments, from their records."""
        found = set()
        for record in self.data.glob("environments/*/instance"):
            for line in record.read_text().splitlines():
                if line.startswith("holder "):
                    found.add(int(line.split()[1]))
        return found

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait()
        self.connection = None

    def close(self):
        """Destroys every environment, stops the server and removes its directory."""
        try:
            if self.process and self.process.poll() is None:
                for item in self.call("GET", "/v1/environments?limit=200")["items"]:
                    if item["status"] != "destroyed":
                        self.request("POST", f"/v1/environments/{item['id']}/destroy")
                deadline = time.monotonic() + 20
                while time.monotonic() < deadline:
                    left = [e for e in self.call("GET", "/v1/environments?limit=200")["items"] if e["status"] != "destroyed"]
                    if not left:
                        break
                    time.sleep(0.05)
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(10)
        except (OSError, Failed, subprocess.TimeoutExpired):
            if self.process and self.process.poll() is None:
                self.process.kill()
        if self.owned:
            shutil.rmtree(self.data, ignore_errors=True)


def processes(name, under):
    """Pids of programs called `name` for which `under` holds."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().strip() == name[:15] and under(int(entry.name)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def parent(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
