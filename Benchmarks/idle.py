"""What a WebSocket that nobody writes to costs its server in memory."""

from measure import anonymous_kilobytes
from sides import WORKER_TOKEN, Berth
from websocket_link import Link, Worker

# The first ones pay for what all share.
FIRST = 500
MORE = 4000


def idle(side):
    """Kilobytes of anonymous memory per idle WebSocket: viewers of relayed ports on Berth, bare sockets on the peer."""
    links = []
    try:
        if isinstance(side, Berth):
            worker = Worker(side, WORKER_TOKEN, "idle")
            links.append(worker)

            def connect():
                links.append(worker.viewer(side)[0])

        else:

            def connect():
                links.append(Link(side.port, "/idle/", side.key, side.trust).joined())

        def settled(count):
            for _ in range(count):
                connect()
            side.collect()
            return anonymous_kilobytes(side.pid)

        before = settled(FIRST)
        each = (settled(MORE) - before) / MORE
        return each, {"operations": MORE}
    finally:
        for link in links:
            link.close()
