#!/usr/bin/env python3
"""The peer of the dispatcher: BullMQ's Python port, jobs that do nothing. One process is producer and worker.

    bullmq_load.py SOCKET COUNT IN_FLIGHT

Keeps IN_FLIGHT jobs between their creation and their end until COUNT have ended; prints the seconds that took.
"""

import asyncio
import sys
import time

from bullmq import Queue, Worker


async def main():
    path, count, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    connection = f"unix://{path}"
    queue = Queue("bench", {"connection": connection})
    ended, done = 0, asyncio.Event()
    room = asyncio.Semaphore(in_flight)

    async def nothing(job, token):
        return None

    worker = Worker("bench", nothing, {"connection": connection, "concurrency": in_flight})

    def completed(job, result):
        nonlocal ended
        ended += 1
        room.release()
        if ended == count:
            done.set()

    worker.on("completed", completed)

    async def create():
        await queue.add("nothing", {})

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            await room.acquire()
            group.create_task(create())
    await done.wait()
    print(time.perf_counter() - begin, flush=True)
    await worker.close(True)
    await queue.close()


asyncio.run(main())
