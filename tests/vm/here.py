"""Disks that other programs made in the test machine, opened and written to on this host.

This host is several times as fast, and has no device mapper, md or nbd: what comes of such a disk here comes
of this program alone.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import Guard

from .machine import Machine

_ROOT = Path(__file__).parents[2]
LONG = b"".join(b"%d\n" % number for number in range(1, 200001))
"""What is in the long file of each volume: ``seq 200000``."""


def hand_over(machine: Machine, script: str, disks: list[str]) -> None:
    """Make the disks in the machine's /tmp and give them to this host, below its scratch folder."""
    copies = f"cp --sparse=always {' '.join(disks)} /scratch/"
    result = machine.run(f"set -e; cd /tmp\n{script}\n{copies}", 3000)
    assert result.status == 0, result.output


def opened(machine: Machine, disks: dict[str, list[str]], base: Path) -> dict[str, dict[str, Any]]:
    """What the volumes hold, by disk and id; the disks must not change, and nothing must be left."""
    guard, long = Guard(base), base / "long"
    long.write_bytes(LONG)
    guard.watch(*(machine.scratch / disk for disk in disks))
    asked = {str(machine.scratch / disk): ids for disk, ids in disks.items()}
    told = subprocess.run(
        [sys.executable, "-m", "tests.vm.opening", base / "state", long],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=_ROOT,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    guard.check()
    found: dict[str, dict[str, Any]] = json.loads(told.stdout)["opened"]
    return {Path(disk).name: volumes for disk, volumes in found.items()}


def write(machine: Machine, disk: str, volume: str, base: Path) -> None:
    """Write `LONG` to /home/new of a volume, over an overlay that is then written to the disk."""
    guard, state, point = Guard(base), base / "state", base / "point"
    path = machine.scratch / disk
    _said(state, "mount", "--format", "raw", "--writable", path, volume, point)
    (point / "home/new").write_bytes(LONG)
    [session] = json.loads(_said(state, "status", "--json"))["sessions"]
    _said(state, "commit", "--backup", base / "before", session["id"], answer=f"{disk}\n")
    for backup in base.glob("before*"):
        backup.unlink()
    guard.check()


def _said(state: Path, *words: str | Path, answer: str = "") -> str:
    argv = [sys.executable, "-m", "tui.main", "--state-dir", state, *words]
    done = subprocess.run(argv, input=answer, capture_output=True, text=True, cwd=_ROOT, check=False)
    assert done.returncode == 0, (words, done.stdout + done.stderr)
    return done.stdout
