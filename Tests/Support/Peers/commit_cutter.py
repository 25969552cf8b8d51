#!/usr/bin/env python3
"""Stands between PostgreSQL's clients and its socket, and cuts connections at the worst moment.

commit_cutter.py SOCKET: prints its port on the first line and ends when standard input closes. After a line `cut` the next
COMMIT that the server confirms is not passed on: its connection closes instead, on both sides; `cut before` closes before
the COMMIT reaches the server.
"""
import os
import socket
import sys
import threading

path = sys.argv[1]
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)
armed = []


def pump(source, target, marks):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            if armed and armed[0] in marks and marks[armed[0]] in data:
                armed.clear()
                break
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def accept():
    while True:
        client = listener.accept()[0]
        server = socket.socket(socket.AF_UNIX)
        server.connect(path)
        # The text of a COMMIT that is prepared, and the tag of one that is done.
        threading.Thread(target=pump, args=(client, server, {"cut before": b"COMMIT\0"}), daemon=True).start()
        threading.Thread(target=pump, args=(server, client, {"cut": b"COMMIT\0"}), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
for line in sys.stdin:
    armed.append(line.strip())
    print("armed", flush=True)
os._exit(0)
