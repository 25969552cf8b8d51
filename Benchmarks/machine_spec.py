"""The rows of the numeric specification about micro virtual machines."""

import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

from berth_server import Failed, Server

CACHE = pathlib.Path(
    os.environ.get("BERTH_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "berth"
)
ROUNDS = 3
SPEC = {"provider": "microvm", "limits": {"cpus": 1, "memoryBytes": 512 << 20, "diskBytes": 1 << 30}, "network": {"kind": "none"}}


def images():
    found = [path for path in CACHE.glob("microvm-*") if path.name.removeprefix("microvm-").isdigit()]
    if not found:
        raise Failed("run scripts/images/microvm first")
    return max(found, key=lambda path: int(path.name.removeprefix("microvm-")))


def clock():
    """What the kernel is told of the host's ticks."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("cpu MHz"):
            return f"tsc_early_khz={round(float(line.split(':')[1]) * 1000)} tsc=reliable"
    return "tsc_early_khz=2000000"


def bare(folder, images):
    """Seconds from the start of a QEMU without Berth, with the same kernel and disk, to the shell's first output."""
    stage, programs, disk = folder / "stage", folder / "shell.ext4", folder / "disk.qcow2"
    if not programs.exists():
        stage.mkdir()
        shell = stage / "berth-hold"
        shell.write_text("#!/bin/bash\necho the shell is here\nexec bash\n")
        shell.chmod(0o755)
        subprocess.run(
            ["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", stage, programs, "4M"],
            check=True, stdout=subprocess.DEVNULL,
        )
    disk.unlink(missing_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", images / "root.ext4", disk], check=True)
    command = [
        "qemu-system-x86_64", "-M", "microvm", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-nodefaults",
        "-no-user-config", "-no-reboot", "-display", "none", "-smp", "1", "-m", "512M", "-kernel", images / "vmlinuz",
        "-initrd", images / "initrd", "-serial", "stdio",
        "-append", f"console=ttyS0 quiet reboot=t panic=-1 random.trust_cpu=on mitigations=off {clock()} no_timer_check",
        "-drive", f"id=root,file={disk},if=none,format=qcow2", "-device", "virtio-blk-device,drive=root,serial=root",
        "-drive", f"id=berth,file={programs},if=none,format=raw,readonly=on",
        "-device", "virtio-blk-device,drive=berth,serial=berth",
    ]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        try:
            for line in machine.stdout:
                if b"the shell is here" in line:
                    return time.perf_counter() - begin
        finally:
            machine.kill()
    raise Failed("the bare machine came to no shell")


def boot(row):
    """Boot to worker ready, against QEMU alone in the same run; both alternate, so that they see the same machine."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-machine-"))
    server = Server()
    try:
        server.start()
        alone, whole = [], []
        # Makes the disks of programs and agents, and finds out what accelerates.
        prepare(server, "warm")
        for number in range(ROUNDS):
            alone.append(bare(folder, images()))
            whole.append(prepare(server, f"spec-{number}"))
        ratio = statistics.median(whole) / statistics.median(alone)
        row("microvm: boot to worker ready, by bare QEMU", ratio, "times", 1.6)
        print(f"  bare {statistics.median(alone):.2f} s, with Berth {statistics.median(whole):.2f} s")
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def prepare(server, name):
    """Seconds from the request to a worker that is ready; the environment is gone afterwards."""
    begin = time.perf_counter()
    server.call("POST", "/v1/environments", {"name": name, **SPEC})
    server.environment(name, seconds=120)
    taken = time.perf_counter() - begin
    server.call("POST", f"/v1/environments/{name}/destroy")
    return taken


def resume(row):
    """From the wish to go back to a snapshot until a command was answered in a new process that went on from memory."""
    server = Server()
    try:
        server.start()
        times = []
        for number in range(ROUNDS):
            name = f"kept-{number}"
            server.call("POST", "/v1/environments", {"name": name, **SPEC})
            server.environment(name, seconds=120)
            server.run(["true"], name)
            snapshots = f"/v1/environments/{name}/snapshots"
            kept = server.call("POST", snapshots)["id"]
            answer = server.call("GET", f"{snapshots}/{kept}?waitMs=60000")
            if answer["status"] != "ready":
                raise Failed(f"the snapshot is {answer['status']}: {answer.get('failure')}")
            server.call("POST", f"/v1/environments/{name}/stop")
            server.environment(name, status="stopped")
            begin = time.perf_counter()
            server.call("POST", f"/v1/environments/{name}/restore", {})
            ended = server.run(["true"], name)
            times.append((time.perf_counter() - begin) * 1000)
            if ended["status"] != "completed":
                raise Failed(f"true ended as {ended['status']} after the resume")
            server.call("POST", f"/v1/environments/{name}/destroy")
        row("microvm: from memory to first command, p50", statistics.median(times), "ms", 500)
    finally:
        server.close()


def microvm(row):
    boot(row)
    resume(row)


PARTS = [microvm]
