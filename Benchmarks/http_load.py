"""GETs over kept connections, one request under way on each."""

import json
import select
import socket
import time

from berth_server import Failed
from measure import seconds_used

CONNECTIONS = 64
# What the server itself may write into the row meanwhile.
MOVING = ("lastHealthCheckAt", "lastActiveAt", "version")


def request(method, path, key, body=b"", more=""):
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{more}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def body_of(answer):
    """The body of one whole response, or nothing where its end is not there yet."""
    head, found, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and found and len(body) >= int(value):
            return body
    return None


def still(row):
    return {name: value for name, value in row.items() if name not in MOVING}


class Gets:
    """One side's connections; `expected` is the row that every answer must carry."""

    def __init__(self, side, path, expected):
        self.side, self.path, self.expected = side, path, expected
        self.text = request("GET", path, side.key)
        self.poll, self.links = select.epoll(), {}
        # By length of answer: those of one length differ in date and request id only.
        self.checked = set()

    def __enter__(self):
        for _ in range(CONNECTIONS):
            link = socket.create_connection(("127.0.0.1", self.side.port))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links[link.fileno()] = link
            self.poll.register(link, select.EPOLLIN)
        return self

    def __exit__(self, *_):
        for link in self.links.values():
            link.close()
        self.poll.close()

    def check(self, answer):
        body = body_of(answer)
        if not answer.startswith(b"HTTP/1.1 200") or body is None:
            raise Failed(f"GET {self.path}: {answer[:300]!r}")
        if still(json.loads(body)) != still(self.expected):
            raise Failed(f"GET {self.path}: another row: {body[:300]!r}")

    def run(self, seconds):
        """Answers within `seconds`, and the time that it took them all to come."""
        text, links, checked = self.text, self.links, self.checked
        for link in links.values():
            link.sendall(text)
        done, under_way = 0, len(links)
        begin = time.perf_counter()
        end = begin + seconds
        going = True
        while under_way:
            ready = self.poll.poll(10)
            if not ready:
                raise Failed(f"GET {self.path}: no answer for 10 s")
            going = going and time.perf_counter() < end
            for descriptor, _ in ready:
                link = links[descriptor]
                answer = link.recv(65536)
                if len(answer) not in checked:
                    self.check(answer)
                    checked.add(len(answer))
                elif not answer.startswith(b"HTTP/1.1 200"):
                    raise Failed(f"GET {self.path}: {answer[:300]!r}")
                done += 1
                if going:
                    link.send(text)
                else:
                    under_way -= 1
        return done, time.perf_counter() - begin


def gets(side, path, expected, seconds):
    """Microseconds of the server's processor time per GET, and how busy it was."""
    with Gets(side, path, expected) as load:
        load.run(seconds / 4)
        before = seconds_used(side.pid)
        count, took = load.run(seconds)
        used = seconds_used(side.pid) - before
    return used / count * 1e6, {"operations": count, "busy": used / took}
