"""A viewer that changes a terminal's size as fast as a window that is dragged, reads what comes, and connects again when it
is cut off. usage: size_storm.py HOST:PORT ENVIRONMENT TERMINAL KEYFILE

Ends with its standard input, or with the terminal, and says `N sizes`.
"""
import base64
import os
import random
import select
import socket
import struct
import sys

SIZE = 17
host, port = sys.argv[1].split(":")
path = f"/v1/environments/{sys.argv[2]}/terminals/{sys.argv[3]}/attach?offset=-1&columns=80&rows=24"
key = open(sys.argv[4]).read().strip()
dice = random.Random(3)
sent = 0


def connect():
    wire = socket.create_connection((host, int(port)), timeout=5)
    nonce = base64.b64encode(os.urandom(16)).decode()
    wire.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {nonce}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    )
    return wire


def masked(payload):
    # A mask of zeros leaves the payload as it is (RFC 6455, section 5.3).
    return struct.pack(">BB", 0x82, 0x80 | len(payload)) + bytes(4) + payload


wire = None
while True:
    try:
        wire = wire or connect()
        ready = select.select([wire, sys.stdin], [], [], 0.02)[0]
        if sys.stdin in ready:
            break
        if wire in ready and not wire.recv(1 << 16):
            raise OSError("closed")
        if wire not in ready:
            frame = struct.pack(">BIHH", SIZE, 4, dice.randint(20, 200), dice.randint(5, 60))
            wire.sendall(masked(frame))
            sent += 1
    except OSError:
        if wire:
            wire.close()
        wire = None
        if select.select([sys.stdin], [], [], 0.1)[0]:
            break
print(sent, "sizes", flush=True)
