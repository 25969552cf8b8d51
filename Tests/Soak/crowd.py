"""Many raw connections at once, from several loopback addresses where one would not have enough ports."""

import select
import socket
import struct
import time

PER_ADDRESS = 8000


class Crowd:
    """`count` connections to the port; the epoll of their descriptors tells who has something to read."""

    def __init__(self, port, count, receive_buffer=None):
        self.links, self.began, self.poll = {}, {}, select.epoll()
        for number in range(count):
            link = socket.socket()
            if receive_buffer:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
            link.settimeout(20)
            link.connect(("127.0.0.1", port))
            link.setblocking(False)
            self.links[link.fileno()] = link
            self.began[link.fileno()] = time.monotonic()
            self.poll.register(link, select.EPOLLIN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for link in self.links.values():
            link.close()
        self.poll.close()

    def send(self, text):
        """The same bytes on each; from now on its time counts."""
        for descriptor, link in self.links.items():
            link.send(text)
            self.began[descriptor] = time.monotonic()

    def answers(self, seconds=20):
        """Waits until something has come on each, which is taken, by descriptor."""
        found, end = {}, time.monotonic() + seconds
        while len(found) < len(self.links) and time.monotonic() < end:
            for descriptor, _ in self.poll.poll(0.1):
                block = receive(self.links[descriptor])
                found[descriptor] = found.get(descriptor, b"") + block
        return found

    def closings(self, seconds, every=None, each=None):
        """Takes what comes until the server has closed all, `seconds` at most.

        `each` is called with every link that is still open, every `every` seconds.
        Returns the seconds each lasted since its last `send`, and what was read, by descriptor.
        """
        lasted, read, end, due = {}, {}, time.monotonic() + seconds, 0
        while len(lasted) < len(self.links) and time.monotonic() < end:
            if each and time.monotonic() >= due:
                due = time.monotonic() + every
                for descriptor, link in self.links.items():
                    if descriptor not in lasted:
                        try:
                            each(link)
                        except OSError:
                            # Told below, by the poll.
                            pass
            for descriptor, _ in self.poll.poll(0.1):
                block = receive(self.links[descriptor])
                if block:
                    read[descriptor] = read.get(descriptor, b"") + block
                else:
                    lasted[descriptor] = time.monotonic() - self.began[descriptor]
                    self.poll.unregister(descriptor)
        return lasted, read

    def abort(self):
        """Closes all with a reset."""
        for link in self.links.values():
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.close()


def receive(link):
    """What is there; nothing at the end, however it came."""
    try:
        return link.recv(1 << 16)
    except OSError:
        return b""
