#!/usr/bin/env python3
"""A client that behaves: one request every 20 ms on a kept connection, and how long each answer took.

    neighbour.py PORT PATH KEY

Writes a line for each request: when it began (CLOCK_MONOTONIC, seconds) and the seconds it took, or why it failed.
"""

import http.client
import socket
import sys
import time


def main():
    port, path, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    connection = None
    while True:
        began = time.monotonic()
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.connect()
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise OSError(f"status {response.status}")
            outcome = f"{time.monotonic() - began:.6f}"
        except (OSError, http.client.HTTPException) as failure:
            connection = None
            outcome = f"failed: {failure or type(failure).__name__}"
        print(f"{began:.6f} {outcome}", flush=True)
        time.sleep(max(0, began + 0.02 - time.monotonic()))


main()
