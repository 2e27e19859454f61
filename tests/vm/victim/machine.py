"""The victim: its disk, made once and kept in the cache, and its short life."""

import fcntl
import hashlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from core import tools

from .. import usermode
from ..build import KEPT, Image, ImageMissing, cache
from ..machine import Machine
from ..qemu import ACCELERATORS, KERNEL_LINE, Setup

HERE = Path(__file__).parent
SIZE = 1500 << 20
"""Bytes of the victim's disk."""
PLACES = ("1", "2", "3", "guest/data", "guest/db")
"""Its volumes, in the order of the places of `workload`."""
FOLDERS = ("/srv/root", "/w", "/w", "/w", "/w")
"""Where in each of them it writes."""
READY_WITHIN = 180.0
"""Seconds from its start to its first step, on a busy host."""


@dataclass(frozen=True, slots=True)
class Victim:
    """What a victim is started from."""

    image: Image
    folder: Path

    @property
    def disk(self) -> Path:
        """As it was before its first start, as qcow2."""
        return self.folder / "disk.qcow2"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"


def build(image: Image) -> Victim:
    """The victim of the present recipe, from the cache or newly made in the test machine.

    Raises ImageMissing when it cannot be made.
    """
    recipe = [path.read_bytes() for path in sorted(HERE.iterdir()) if path.is_file()]
    digest = hashlib.sha256(repr((image.folder.name, SIZE, recipe)).encode()).hexdigest()[:16]
    victim = Victim(image, cache() / f"victim-{digest}")
    with (cache() / "victim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not victim.folder.is_dir():
            _make(victim)
            for old in sorted(cache().glob("victim-*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
                shutil.rmtree(old)
    return victim


def _make(victim: Victim) -> None:
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache()) as name:
        work = Path(name)
        raw, folder, scratch = work / "disk.raw", work / "victim", work / "scratch"
        folder.mkdir()
        scratch.mkdir()
        with raw.open("wb") as disk:
            disk.truncate(SIZE)
        disks = {"victim": raw}
        setup = Setup(HERE.parents[2], scratch, disks, udev=False, accelerator=usermode.preferred())
        with Machine(victim.image, setup) as machine:
            made = machine.run("sh /checkout/tests/vm/victim/make.sh", 600)
        if made.status:
            raise ImageMissing(
                "The victim's disk could not be made.",
                f"It said: {made.output[-2000:]}",
            )
        shutil.move(scratch / "initrd", folder / "initrd")
        convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, folder / "disk.qcow2"]
        subprocess.run(convert, check=True, stdin=subprocess.DEVNULL)
        folder.rename(victim.folder)


@dataclass(frozen=True, slots=True)
class Death:
    """How far a victim came: the steps that it told to be on the medium, and the seconds that it had."""

    steps: int
    seconds: float


def killed(
    victim: Victim, disk: Path, format: str, seed: int, cluster: int | None, accelerator: str, seconds: float
) -> Death:
    """Let a victim write to `disk` and kill its QEMU with SIGKILL after so many seconds of work.

    With PostgreSQL in the place `cluster`, unless that is None.
    """
    options = (f"victim.seed={seed}", "victim.cluster={}".format("" if cluster is None else cluster))
    line = " ".join((*KERNEL_LINE, *options))
    with tempfile.TemporaryDirectory(prefix="victim-") as folder:
        console, errors = Path(folder, "console"), Path(folder, "errors")
        argv = [
            *("setpriv", "--pdeathsig", "KILL", tools.require("qemu-system-x86_64")),
            *("-M", "q35", *ACCELERATORS[accelerator], "-smp", "2", "-m", "512"),
            *("-nodefaults", "-display", "none", "-no-reboot"),
            *("-kernel", str(victim.image.kernel), "-initrd", str(victim.initrd), "-append", line),
            *("-drive", f"if=none,id=disk,format={format},file={disk},cache=writeback"),
            *("-device", "virtio-blk-pci,drive=disk"),
            *("-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"),
            *("-chardev", "stdio,id=talk,signal=off", "-serial", "chardev:talk"),
        ]
        with errors.open("wb") as sink:
            process = subprocess.Popen(
                argv,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=sink,
                start_new_session=True,
            )
        try:
            return _watched(process, seconds)
        except TimeoutError as error:
            said = (console.read_bytes() + errors.read_bytes())[-3000:].decode(errors="replace")
            raise AssertionError(f"the victim {error}: {said}") from error
        finally:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()


def _watched(process: "subprocess.Popen[bytes]", seconds: float) -> Death:
    """Follow what the victim tells until its time is up, kill it, and read what it still told."""
    assert process.stdout
    pending, last, began, killed = b"", 0, 0.0, False
    ends = time.monotonic() + READY_WITHIN
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            selector.select(max(0.0, ends - time.monotonic()))
            if time.monotonic() >= ends and not killed:
                if not began:
                    raise TimeoutError("does not write")
                os.kill(process.pid, signal.SIGKILL)
                killed, ends = True, time.monotonic() + READY_WITHIN
            data = os.read(process.stdout.fileno(), 1 << 16) if selector.select(0) else None
            if data == b"":
                break
            pending += data or b""
            *lines, pending = pending.split(b"\n")
            for line in lines:
                if line.strip() == b"ready":
                    began = time.monotonic()
                    ends = began + seconds
                elif line.strip().isdigit():
                    last = int(line)
    if not killed:
        raise TimeoutError("ended by itself")
    return Death(last, seconds)
