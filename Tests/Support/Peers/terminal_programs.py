"""Runs full-screen programs on a terminal of its own within the terminal that it runs on, and passes on each byte that they
write: what it hashed is what was written at the PTY. usage: terminal_programs.py RESULT

RESULT gets the SHA-256 and the count of all that was written, once everything has run.
"""
import fcntl
import hashlib
import os
import select
import sys
import time

MEGABYTES = 100
# As <asm-generic/ioctls.h> has them: the module termios is not in every Python.
TIOCGWINSZ, TIOCSWINSZ = 0x5413, 0x5414
digest, total = hashlib.sha256(), 0


def show(data):
    global total
    digest.update(data)
    total += len(data)
    while data:
        data = data[os.write(1, data):]


def size():
    return fcntl.ioctl(1, TIOCGWINSZ, b"\0" * 8)


def run(arguments, keys):
    """Each key when the program has been quiet for a moment, or has drawn long enough; the last one ends it."""
    child, terminal = os.forkpty()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execvp(arguments[0], arguments)
    last, keys, begin = None, list(keys), time.monotonic()
    drawn = pressed = begin
    while True:
        now = size()
        if now != last:
            fcntl.ioctl(terminal, TIOCSWINSZ, now)
            last = now
        if select.select([terminal], [], [], 0.03)[0]:
            drawn = time.monotonic()
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:
                break
            if not data:
                break
            show(data)
        now = time.monotonic()
        if now - begin > 60:
            raise SystemExit(f"{arguments} does not end")
        if keys and (now - drawn > 0.06 or now - pressed > 0.4):
            # The last one again and again: a program that draws itself anew may drop what was typed meanwhile.
            os.write(terminal, keys.pop(0) if len(keys) > 1 else keys[0])
            drawn = pressed = now
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{arguments} ended with {status}")


os.system("stty raw -echo")
long = "/tmp/long.txt"
with open(long, "w") as file:
    for number in range(5000):
        file.write(f"{number} " + "äöü 漢字 " * (number % 9) + "\n")
run(["vi", "-u", "NONE", "-N", long], [
    b":set nu\r", b"ione line\x1b", b"50j", b"yy100p", b"\x06", b"\x06", b"\x02", b":%s/9/nine/g\r", b"u", b"G", b"gg",
    b"/4999\r", b"\x0c", b":q!\r",
])
run(["less", long], [b" "] * 12 + [b"G", b"g", b"/499\r", b"n", b"50%", b"q"])
# A monitor draws by itself: it is not quiet for its keys.
run(["top", "-d", "0.3", "-n", "6"], [b"c", b"1"])
show(bytes(range(256)) * 64)
show(os.urandom(1 << 20))
block = bytearray(os.urandom(1 << 20))
for number in range(MEGABYTES):
    block[:8] = number.to_bytes(8, "big")
    show(bytes(block))
    time.sleep(0.15)
run(["less", long], [b"G", b"g", b"q"])
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{digest.hexdigest()} {total}\n")
os.rename(sys.argv[1] + ".new", sys.argv[1])
