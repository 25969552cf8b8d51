"""What the executions of the chaos run, and what they must have written."""

import hashlib

# Arguments: a token to be found by, the run's number, how many lines, the wait after every tenth in seconds, the file
# that remembers starts. Also run as an agent, it takes them from its prompt.
WRITER = """
import hashlib, os, sys, time
agent = '-p' in sys.argv
token, number, lines, pause, starts = sys.stdin.read().split() if agent else sys.argv[1:]
with open(starts, 'a') as file: file.write('%s %s\\n' % (number, os.environ['BERTH_ATTEMPT']))
digest = hashlib.sha256()
def put(text):
    digest.update(text)
    sys.stdout.buffer.write(text)
for line in range(int(lines)):
    put(('%s %08d ' % (number, line) + 'x' * (line % 400) + '\\n').encode())
    if line % 10 == 0:
        sys.stdout.buffer.flush()
        time.sleep(float(pause))
if agent: put(b'{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"s","num_turns":1}\\n')
sys.stdout.buffer.flush()
sys.stderr.write(digest.hexdigest())
"""

AGENT = f"#!/usr/bin/env python3\n{WRITER}"


def expected(number, lines, is_agent):
    """All that a run writes to its standard output."""
    text = b"".join(b"%d %08d " % (number, line) + b"x" * (line % 400) + b"\n" for line in range(lines))
    if is_agent:
        text += b'{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"s","num_turns":1}\n'
    return text


def digest(data):
    return hashlib.sha256(data).hexdigest()
