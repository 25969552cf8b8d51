#!/usr/bin/env python3
"""A WebSocket server for clients under test. Prints {"name": port, ...} with a port for each way of compressing, then
ends with its standard input. The path says what it does; `/last` tells how the connection before ended. The library
is `websockets`, found by PYTHONPATH.
"""
import asyncio
import json
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory as Deflate

KINDS = {
    "plain": None,
    "context": Deflate(),
    "forgetting": Deflate(server_no_context_takeover=True, client_no_context_takeover=True),
    "bits": Deflate(server_max_window_bits=9, client_max_window_bits=10),
}
RAW = {
    "/utf8": b"\x81\x04ab\xc3\x28",
    "/utf8-fragments": b"\x01\x01\xce\x80\x02\xba\xff",
    "/reserved": b"\xa1\x00",
    "/opcode": b"\x83\x00",
    "/masked": b"\x81\x81\x01\x02\x03\x04\x60",
    "/long-ping": b"\x89\x7e\x00\x7e" + bytes(126),
    "/compressed": b"\xc1\x00",
    "/bad-close": b"\x88\x02\x03\xed",
}
ended = asyncio.Queue()


async def between(socket):
    pongs = []
    yield "frag"
    pongs.append(await socket.ping(b"between"))
    yield "men"
    yield ""
    yield "ted"
    await pongs[0]


async def oversize():
    for _ in range(70):
        yield b"x" * 1000


async def answer(socket):
    path = socket.request.path
    if path == "/last":
        return await socket.send(await ended.get())
    try:
        if path == "/echo":
            async for message in socket:
                await socket.send(message)
        elif path == "/fragments":
            await socket.send(between(socket))
            await socket.send("pong")
        elif path == "/close":
            await socket.close(4001, "grüß")
        elif path == "/oversize":
            await socket.send(b"x" * 70000)
        elif path == "/oversize-fragments":
            await socket.send(oversize())
        elif path == "/bomb":
            await socket.send("x" * 10_000_000)
        elif path == "/data-after-close":
            socket.transport.write(b"\x88\x02\x03\xe8\x81\x02no")
        elif path in RAW:
            socket.transport.write(RAW[path])
        await socket.wait_closed()
    except ConnectionClosed:
        await socket.wait_closed()
    await ended.put(f"{socket.close_code} {socket.close_reason}".strip())


async def main():
    ports = {}
    servers = []
    for name, extension in KINDS.items():
        server = await serve(
            answer, "127.0.0.1", 0, compression=None, extensions=[extension] if extension else None, max_size=None
        )
        servers.append(server)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


asyncio.run(main())
