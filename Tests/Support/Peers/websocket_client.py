#!/usr/bin/env python3
"""Runs every scenario as a client of the WebSocket server at ws://127.0.0.1:PORT and prints, line by line, what came of
each: {"scenario": ..., "result": ...}. The library is `websockets`, found by PYTHONPATH.
"""
import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Deflate

URL = "ws://127.0.0.1:" + sys.argv[1]
LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 300000]


def open_(path, extension=None, **options):
    extensions = None if extension is None else [extension]
    return connect(URL + path, compression=None, extensions=extensions, proxy=None, max_size=None, **options)


async def close_code(socket):
    try:
        while True:
            await asyncio.wait_for(socket.recv(), 20)
    except ConnectionClosed:
        return f"{socket.close_code} {socket.close_reason}".strip()


async def echo(path="/echo", extension=None):
    async with open_(path, extension) as socket:
        for length in LENGTHS:
            for message in (bytes(i * 31 & 255 for i in range(length)), ("grüß dich, 世界 " * length)[:length]):
                await socket.send(message)
                if await socket.recv() != message:
                    return f"another message came back for {length} {type(message).__name__}"
        answered = socket.response.headers.get("Sec-WebSocket-Extensions", "none")
        return answered if extension else "same"


async def fragments():
    async with open_("/echo") as socket:
        pongs = []

        async def pieces():
            yield "frag"
            pongs.append(await socket.ping(b"between"))
            yield "men"
            yield ""
            yield "ted"

        await socket.send(pieces())
        await asyncio.wait_for(pongs[0], 20)
        return await socket.recv() + ", pong"


async def receive(path):
    async with open_(path) as socket:
        return await socket.recv()


async def close():
    async with open_("/ends") as socket:
        await socket.close(3001, "bye")
        return str(socket.close_code)


async def sends(path, action):
    async with open_(path) as socket:
        await action(socket)
        return await close_code(socket)


async def nothing(socket):
    pass


def raw(*octets):
    async def write(socket):
        socket.transport.write(bytes(octets))

    return write


async def pieces_of(count, size):
    for _ in range(count):
        yield b"x" * size


async def pings():
    # The server pings and gives up after a second; this client only answers.
    async with open_("/pings", ping_interval=None) as socket:
        return await socket.recv()


SCENARIOS = {
    "echo": echo,
    "fragments sent": fragments,
    "fragments received": lambda: receive("/fragments"),
    "close": close,
    "close by server": lambda: sends("/close", nothing),
    "close without code": lambda: sends("/close-empty", nothing),
    "invalid UTF-8": lambda: sends("/echo", lambda socket: socket.send(b"ab\xc3\x28", text=True)),
    "invalid UTF-8 in fragments": lambda: sends("/echo", lambda socket: socket.send([b"\xce", b"\xba\xff"], text=True)),
    "oversize": lambda: sends("/small", lambda socket: socket.send(b"x" * 70000)),
    "oversize in fragments": lambda: sends("/small", lambda socket: socket.send(pieces_of(70, 1000))),
    "reserved bit": lambda: sends("/echo", raw(0xA1, 0x80, 1, 2, 3, 4)),
    "unknown opcode": lambda: sends("/echo", raw(0x83, 0x80, 1, 2, 3, 4)),
    "not masked": lambda: sends("/echo", raw(0x81, 0x01, 0x61)),
    "fragmented ping": lambda: sends("/echo", raw(0x09, 0x80, 1, 2, 3, 4)),
    "compressed without agreement": lambda: sends("/echo", raw(0xC1, 0x80, 1, 2, 3, 4)),
    "pings": pings,
    "deflate": lambda: echo("/deflate", Deflate()),
    "deflate with context": lambda: echo("/deflate-context", Deflate()),
    "deflate, client forgets": lambda: echo("/deflate-context", Deflate(client_no_context_takeover=True)),
    "deflate, server forgets": lambda: echo("/deflate-context", Deflate(server_no_context_takeover=True)),
    "deflate, server 9 bits": lambda: echo("/deflate-context", Deflate(server_max_window_bits=9)),
    "deflate, client 9 bits": lambda: echo("/deflate-context", Deflate(client_max_window_bits=9)),
    "deflate, server 8 bits": lambda: echo("/deflate-context", Deflate(server_max_window_bits=8)),
    "deflate, both 10 bits": lambda: echo("/deflate-10", Deflate()),
    "deflate bomb": lambda: bomb(),
}


async def bomb():
    async with open_("/small-deflate", Deflate()) as socket:
        await socket.send("x" * 10_000_000)
        return await close_code(socket)


async def main():
    for name, scenario in SCENARIOS.items():
        try:
            result = await asyncio.wait_for(scenario(), 60)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        print(json.dumps({"scenario": name, "result": result}), flush=True)


asyncio.run(main())
