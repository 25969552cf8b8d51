"""Processor time, memory and cores of processes, from /proc."""

import os
import pathlib
import statistics

TICKS = os.sysconf("SC_CLK_TCK")


def seconds_used(pid):
    """User and system time of the whole process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def anonymous_kilobytes(pid):
    return status_kilobytes(pid, "RssAnon")


def peak_kilobytes(pid):
    """Highest resident set of the process so far, file pages included."""
    return status_kilobytes(pid, "VmHWM")


def status_kilobytes(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def sockets(pid):
    """How many sockets the process holds."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            continue
    return count


def pin(pid, cores):
    """Every thread of the process, and those it starts from now on, run on these cores."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), cores)


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def median(values):
    return statistics.median(values)
