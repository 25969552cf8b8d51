"""A worker that is a shell server, and its other end, for instances that share no directory with the host.

  worker:  machine_shell.py --link unix:/path ...      connects to the link again and again; each connection is one script
  asking:  machine_shell.py ask SOCKET SCRIPT          listens there until the worker comes, prints what the script printed
                                                       and exits with its status
A message is four bytes of length, then the bytes: the script; then standard output, standard error and the status.
"""

import os
import socket
import struct
import subprocess
import sys
import time


def receive(connection):
    def exactly(count):
        data = b""
        while len(data) < count:
            part = connection.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    return exactly(struct.unpack(">I", exactly(4))[0])


def send(connection, data):
    connection.sendall(struct.pack(">I", len(data)) + data)


def serve(link):
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(link)
            script = receive(connection)
            done = subprocess.run(["/bin/bash", "-c", script], cwd="/", stdin=subprocess.DEVNULL, capture_output=True)
            # As a shell says it: killed by signal n is 128 + n.
            status = done.returncode if done.returncode >= 0 else 128 - done.returncode
            for part in (done.stdout, done.stderr, str(status).encode()):
                send(connection, part)
        except (OSError, EOFError):
            time.sleep(0.02)
        finally:
            connection.close()


def ask(path, script):
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    while True:
        connection, _ = listener.accept()
        try:
            send(connection, script.encode())
            output, errors, status = receive(connection), receive(connection), receive(connection)
        except (OSError, EOFError):
            continue
        os.unlink(path)
        sys.stdout.buffer.write(output)
        sys.stderr.buffer.write(errors)
        sys.exit(int(status))


if sys.argv[1] == "ask":
    ask(sys.argv[2], sys.argv[3])
serve(sys.argv[sys.argv.index("--link") + 1].removeprefix("unix:"))
