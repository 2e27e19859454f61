"""A machine that was saved when it had booted, so that the next one goes on from there.

Under emulation a boot takes seconds and Python's start with the program twice that; both are the same for
all machines that are made of the same, and are done once. The state is saved before a machine has opened
what the host shares with it, see "talk=keep" in init.sh: QEMU saves none that has (docs/devel/migration).
"""

import fcntl
import hashlib
import json
import shlex
import shutil
import socket
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core import tools

from .build import Image, cache
from .qemu import PACKAGES, Setup

FRESH = 3600.0
"""Seconds without use after which a state gives way to a new one; other checkouts have their own."""
SAVE_DEADLINE = 120.0
PAUSE = 0.05
_DECIDES = (".py", ".sh", "salvage")


def serves(setup: Setup) -> bool:
    """Whether such a machine can go on from a saved one: it is emulated, and made of the same."""
    plain = Setup(setup.checkout)
    made_of = (setup.disks, setup.discs, setup.floppies, setup.memory, setup.processors)
    same = made_of == (plain.disks, plain.discs, plain.floppies, plain.memory, plain.processors)
    return same and setup.accelerator == "tcg"


def place(image: Image, checkout: Path) -> Path:
    """Where the state lies for this image, this checkout as it is now, and the programs that run it."""
    decides = [str(image.folder)]
    emulator, packages = Path(tools.require("qemu-system-x86_64")), Path(sysconfig.get_path("purelib"))
    modules = (path for name in PACKAGES for path in sorted((checkout / name).rglob("*")))
    for path in (emulator, packages, *(path for path in modules if path.name.endswith(_DECIDES))):
        known = path.stat()
        decides.append(f"{path} {known.st_size} {known.st_mtime_ns}")
    return cache() / f"kept-{hashlib.sha256(repr(decides).encode()).hexdigest()[:16]}"


@contextmanager
def only_one() -> Iterator[None]:
    """Only one process at a time saves a machine; the others go on from that one."""
    with (cache() / "kept.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def incoming(state: Path) -> list[str]:
    """The options with which QEMU goes on from a saved machine."""
    return ["-incoming", f"exec:cat {shlex.quote(str(state))}"]


def monitor(folder: Path) -> list[str]:
    """The options with which a machine can be saved."""
    return ["-qmp", f"unix:{_socket(folder)},server=on,wait=off"]


def save(folder: Path, target: Path) -> None:
    """Save the machine that runs in `folder`; raises OSError when QEMU does not."""
    part = folder / "kept"
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(SAVE_DEADLINE)
        talk.connect(str(_socket(folder)))
        with talk.makefile("rw", encoding="utf-8") as lines:
            lines.readline()

            def ask(what: str, **arguments: str) -> dict[str, object]:
                lines.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
                lines.flush()
                while True:
                    answer = json.loads(lines.readline() or '{"error": "no answer"}')
                    if "error" in answer:
                        raise OSError(f"{what}: {answer['error']}")
                    if "return" in answer:
                        return dict(answer["return"])

            ask("qmp_capabilities")
            ask("migrate", uri=f"exec:cat >{shlex.quote(str(part))}")
            deadline = time.monotonic() + SAVE_DEADLINE
            while (status := ask("query-migrate").get("status")) != "completed":
                if status in ("failed", "cancelled") or time.monotonic() > deadline:
                    raise OSError(f"migrate: {status}")
                time.sleep(PAUSE)
    _tidy()
    shutil.copyfile(part, target.with_name(f"{target.name}.part"))
    target.with_name(f"{target.name}.part").replace(target)


def _socket(folder: Path) -> Path:
    return folder / "qmp"


def _tidy() -> None:
    """Delete the states that nobody used for long; a machine that reads one keeps its open file."""
    for old in cache().glob("kept-*"):
        if old.stat().st_mtime < time.time() - FRESH:
            old.unlink()
