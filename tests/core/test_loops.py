"""Loop devices are told without touching what lies behind them."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import loops
from core.disks.finding import block_devices
from core.disks.holders import holders
from core.disks.usage import Usage
from core.disks.vet import vet
from core.hoststate import HostState
from core.runner import SystemRunner
from tests.conftest import Guard, needs_root

pytestmark = needs_root


@pytest.fixture
def hanging(tmp_path: Path, guard: Guard) -> Iterator[str]:
    """A loop device over a FUSE file whose daemon does not answer any more."""
    disk, view = tmp_path / "disk.raw", tmp_path / "view"
    disk.write_bytes(bytes(1 << 20))
    view.touch()
    node = f"driver=file,node-name=d,filename={disk},read-only=on"
    export = f"type=fuse,id=e,node-name=d,mountpoint={view},writable=off"
    daemon = subprocess.Popen(["qemu-storage-daemon", "--blockdev", node, "--export", export])
    while not os.path.ismount(view):
        assert daemon.poll() is None
    attach = ["losetup", "--find", "--show", "--read-only", str(view)]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    daemon.send_signal(signal.SIGSTOP)
    time.sleep(1.1)  # the kernel remembers a file's attributes for a second
    yield loop
    daemon.send_signal(signal.SIGCONT)
    subprocess.run(["losetup", "--detach", loop], check=True)
    daemon.terminate()
    daemon.wait()


def test_a_hanging_loop_of_somebody_else_hangs_nobody(hanging: str, tmp_path: Path) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes(bytes(1 << 20))
    began = time.monotonic()
    assert [loop.path for loop in loops.loops() if loop.path == hanging] == [hanging]
    HostState.now()
    list(block_devices(None, Usage.now([tmp_path])))
    disk = vet(str(other), "raw", (), SystemRunner())
    assert holders(disk) == ()
    assert time.monotonic() - began < 1
