"""A viewer of a terminal that loses its connection again and again. usage: terminal_viewer.py SEED COMMAND...

Runs COMMAND with the offset of the next byte behind it, takes its standard output, kills it after a random number of bytes and
begins again where it was, until the command ends by itself. Says `at N` for each ten megabytes, and at the end `saw DIGEST
COUNT after N connections`.
"""
import hashlib
import random
import signal
import subprocess
import sys

dice = random.Random(int(sys.argv[1]))
digest, total, told, connections = hashlib.sha256(), 0, 0, 0
while True:
    connections += 1
    client = subprocess.Popen(
        sys.argv[2:] + [str(total)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sys.stderr
    )
    left = dice.choice([0, 1, 300, 20_000, 3_000_000, 30_000_000])
    while block := client.stdout.read1(min(1 << 16, max(1, left))):
        digest.update(block)
        total += len(block)
        left -= len(block)
        while total >= (told + 1) * 10_000_000:
            told += 1
            print("at", told * 10, flush=True)
        if left <= 0:
            client.send_signal(signal.SIGKILL)
            break
    client.stdout.close()
    status = client.wait()
    if status == 0:
        break
    if status != -signal.SIGKILL:
        sys.exit(f"the viewer's command ended with {status}")
print("saw", digest.hexdigest(), total, "after", connections, "connections", flush=True)
