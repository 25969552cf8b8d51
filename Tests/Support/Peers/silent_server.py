#!/usr/bin/env python3
"""Takes connections and never answers.

Prints its port on the first line of standard output and ends when standard input closes.
"""
import os
import socket
import sys
import threading

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(listener.getsockname()[1], flush=True)
held = []


def accept():
    while True:
        held.append(listener.accept()[0])


threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
os._exit(0)
