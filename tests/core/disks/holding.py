"""Programs that hold a disk, for tests: real ones of QEMU, ready when they hold it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.disks import locks

MACHINE = (
    *("qemu-system-x86_64", "-S", "-display", "none", "-monitor", "none", "-serial", "none"),
    *("-nodefaults", "-accel", "tcg", "-m", "16"),
)


@contextmanager
def running(argv: list[str], ready: Path | None = None, cwd: Path | None = None) -> Iterator[int]:
    """A program that is up as soon as it has made the file `ready`; its process number."""
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=cwd) as process:
        try:
            until = time.monotonic() + 20
            while ready and not ready.exists():
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < until, "the program never was ready"
                time.sleep(0.02)
            yield process.pid
        finally:
            process.terminate()
            process.wait()


def machine(disk: Path, format: str, ready: Path, name: str = "web01", locking: str = "auto") -> list[str]:
    """A paused virtual machine that writes to a disk."""
    drive = f"file={disk},format={format},if=virtio,file.locking={locking}"
    return [*MACHINE, "-name", f"guest={name}", "-drive", drive, "-pidfile", str(ready)]


def daemon(path: Path, format: str, ready: Path, locking: str = "on") -> list[str]:
    """A storage daemon that has the disk open for writing, for nobody yet."""
    file = {"driver": "file", "filename": str(path), "locking": locking}
    node = {"driver": format, "node-name": "n", "read-only": False, "file": file}
    return ["qemu-storage-daemon", "--blockdev", json.dumps(node), "--pidfile", str(ready)]


def server(path: Path, format: str, ready: Path, *options: str) -> list[str]:
    """``qemu-nbd`` on a socket; it writes unless `options` say otherwise."""
    words = ["-t", "-k", f"{ready}.socket", "--pid-file", str(ready), "-f", format, str(path)]
    return ["qemu-nbd", *options, *words]


def starts(disk: Path, format: str, ready: Path) -> str:
    """Start a machine that wants to write to the disk and end it; what it complained about, or nothing."""
    ready.unlink(missing_ok=True)
    argv = machine(disk, format, ready)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 20
        while process.poll() is None and not ready.exists() and time.monotonic() < until:
            time.sleep(0.02)
        # The process number is written before the disks are opened
        while process.poll() is None and not locks.WRITERS & (locks.locked(disk) or frozenset()):
            assert time.monotonic() < until, "it neither started nor gave up"
            time.sleep(0.02)
        gave_up = process.poll() is not None
        process.terminate()
        said = process.communicate()[1]
        return said if gave_up else ""


def script(text: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", text, *map(str, arguments)]
