"""docker_proxy.py SOCKET TARGET RULES: stands between a client and the Docker Engine at TARGET, and spoils single answers.

RULES is a file of JSON, read at every call: a list of {"match": "POST /start", "times": 1, "fault": …}. `match` is the
method and a part of the path; the first rule with calls left is taken. Faults:
    error   500 with the message "scripted failure", without asking the Engine
    cut     closes before asking the Engine
    lose    asks the Engine and closes without its answer
    slow    waits `seconds` before asking the Engine
Prints `up` when it listens; ends with its standard input.
"""

import json
import os
import socket
import sys
import threading
import time

path, target, rules = sys.argv[1:4]
used = {}
guard = threading.Lock()


def fault(line):
    with guard:
        with open(rules) as file:
            for rule in json.load(file):
                method, part = rule["match"].split(" ", 1)
                key = json.dumps(rule, sort_keys=True)
                if line.startswith(method + " ") and part in line and used.get(key, 0) < rule.get("times", 1):
                    used[key] = used.get(key, 0) + 1
                    return rule
    return {"fault": None}


def receive(connection):
    """One request, asked to be the connection's last."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.split(b"\r\n")
    length = 0
    for line in lines:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    lines = [line for line in lines if not line.lower().startswith(b"connection:")] + [b"Connection: close"]
    return lines[0].decode(), b"\r\n".join(lines) + b"\r\n\r\n" + body


def serve(connection):
    with connection:
        request = receive(connection)
        if request is None:
            return
        rule = fault(request[0])
        if rule["fault"] == "error":
            body = b'{"message":"scripted failure"}'
            connection.sendall(
                b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            return
        if rule["fault"] == "cut":
            return
        if rule["fault"] == "slow":
            time.sleep(rule["seconds"])
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(target)
            engine.sendall(request[1])
            while piece := engine.recv(65536):
                if rule["fault"] != "lose":
                    connection.sendall(piece)


listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(64)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print("up", flush=True)


def attempt(connection):
    try:
        serve(connection)
    except OSError:
        pass  # who asked, or the Engine, is gone


while True:
    threading.Thread(target=attempt, args=(listener.accept()[0],), daemon=True).start()
