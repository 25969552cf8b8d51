#!/usr/bin/env python3
"""Serves the files of its directory over HTTP, with nothing but sockets: a sandbox's Python has no http module.

usage: small_web_server.py PORT   (or its text after python3 -c)

Prints `there` when it listens on 127.0.0.1.
"""
import os
import socket
import sys
import threading

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("there", flush=True)


def answer(connection):
    with connection, connection.makefile("rb") as lines:
        name = os.path.basename(lines.readline().split()[1].decode())
        while lines.readline().strip():
            pass
        with open(name, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            connection.sendfile(file)


while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
