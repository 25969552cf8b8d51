#!/usr/bin/env python3
"""Stands between two Berth servers and stops at one message of a hand-over.

usage: hand_over_proxy.py TARGET_PORT DIRECTORY

Prints its port on the first line of standard output and ends when standard input closes. DIRECTORY/rule is
`STEP before|after`, where STEP is the kind of a message, or `deliver` (PUT of the archive), or `fetch` (GET of it).
The first request that fits is held: before it is sent on, or after it was answered and before the answer is passed
on. DIRECTORY/reached then appears; when DIRECTORY/go is there it is removed, and the connection is cut without a word.
DIRECTORY/cut cuts every connection, for as long as it is there.
"""
import http.client
import http.server
import json
import os
import socket
import sys
import threading
import time

target, directory = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()


def path(name):
    return os.path.join(directory, name)


def rule():
    try:
        with open(path("rule")) as file:
            return file.read().split()
    except OSError:
        return []


def step_of(method, target_path, body):
    if target_path.split("?")[0].endswith("/archive"):
        return "deliver" if method == "PUT" else "fetch"
    try:
        return json.loads(body)["kind"]
    except (ValueError, KeyError, TypeError):
        return ""


def hold():
    open(path("reached"), "w").close()
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            # The next stop waits for its own.
            return os.remove(path("go"))
        except FileNotFoundError:
            time.sleep(0.01)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def cut(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def pass_on(self):
        if os.path.exists(path("cut")):
            return self.cut()
        if "chunked" in self.headers.get("transfer-encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
        step = step_of(self.command, self.path, body)
        with lock:
            wanted = rule()
            fits = wanted[:1] == [step]
            if fits:
                os.remove(path("rule"))
        if fits and wanted[1] == "before":
            hold()
            return self.cut()
        connection = http.client.HTTPConnection("127.0.0.1", target, timeout=600)
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("host", "connection", "transfer-encoding", "content-length")
        }
        try:
            connection.request(self.command, self.path, body=body if body else None, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            return self.cut()
        if fits:
            hold()
            return self.cut()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = pass_on


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
