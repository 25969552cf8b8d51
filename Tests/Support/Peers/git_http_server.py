#!/usr/bin/env python3
"""Serves the bare repositories under a directory over HTTP through `git http-backend`, with Basic authentication.

usage: git_http_server.py ROOT [USER:PASSWORD] [LOG]

Without USER:PASSWORD everybody may read and write. Prints its port on the first line of standard output and ends when
standard input closes. LOG gets one line per request: method, path and the status answered.
"""
import base64
import http.server
import os
import subprocess
import sys
import threading

root = os.path.abspath(sys.argv[1])
user = sys.argv[2].encode() if len(sys.argv) > 2 and sys.argv[2] else None
log = sys.argv[3] if len(sys.argv) > 3 else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def note(self, status):
        if log:
            with open(log, "a") as file:
                file.write(f"{self.command} {self.path} {status}\n")

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        pieces = []
        while True:
            length = int(self.rfile.readline(), 16)
            pieces.append(self.rfile.read(length))
            self.rfile.readline()
            if length == 0:
                return b"".join(pieces)

    def is_allowed(self):
        given = self.headers.get("authorization", "")
        return user is None or (given.startswith("Basic ") and base64.b64decode(given[6:]) == user)

    def serve(self):
        body = self.body()
        if not self.is_allowed():
            self.note(401)
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("content-length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = dict(
            os.environ,
            GIT_PROJECT_ROOT=root,
            GIT_HTTP_EXPORT_ALL="1",
            GIT_CONFIG_COUNT="2",
            GIT_CONFIG_KEY_0="safe.directory",
            GIT_CONFIG_VALUE_0="*",
            GIT_CONFIG_KEY_1="http.receivepack",
            GIT_CONFIG_VALUE_1="true",
            PATH_INFO=path,
            QUERY_STRING=query,
            REQUEST_METHOD=self.command,
            CONTENT_TYPE=self.headers.get("content-type", ""),
            CONTENT_LENGTH=str(len(body)),
            REMOTE_USER="tester",
            REMOTE_ADDR="127.0.0.1",
            HTTP_CONTENT_ENCODING=self.headers.get("content-encoding", ""),
            GIT_PROTOCOL=self.headers.get("git-protocol", ""),
        )
        output = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment).stdout
        head, _, content = output.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        self.note(status)
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = serve


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)
