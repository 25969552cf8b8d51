"""A Docker Engine of a benchmark's own, and bare calls of its API."""

import http.client
import json
import pathlib
import socket
import subprocess
import tempfile
import urllib.parse

from berth_server import ROOT, Failed

IMAGE = "berth/worker-base:2"


class Engine:
    """Tests/Support/Peers/docker_engine.sh; its containers outlive it."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="berth-bench-docker-")
        self.socket = str(pathlib.Path(self.directory, "docker.sock"))
        program = ROOT / "Tests" / "Support" / "Peers" / "docker_engine.sh"
        self.process = subprocess.Popen(
            ["sh", str(program), self.directory, str(ROOT / "scripts" / "images" / "docker"), "live"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        if self.process.stdout.readline().strip() != "up":
            raise Failed("the Docker Engine did not start")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.socket)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, f"/v1.41{path}", json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        if response.status >= 300:
            raise Failed(f"{method} {path}: {response.status} {data[:300]}")
        return data

    def tell(self, command):
        """kill (at once), stop or start the Engine."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != f"did {command}":
            raise Failed(f"the Docker Engine did not {command}")

    def containers(self, **labels):
        """Labels of each of the containers that carry all of these."""
        filters = json.dumps({"label": [f"berth.{name}={value}" for name, value in labels.items()]})
        found = json.loads(self.call("GET", f"/containers/json?all=1&filters={urllib.parse.quote(filters)}"))
        return [container["Labels"] for container in found]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
