"""What it costs to inspect a qcow2 with 60 partitions: python -m tests.bench.inspecting [--rounds N]

Beside it, what one would type: `qemu-img info`, `qemu-img convert` to raw, `sfdisk --list`, and
`blkid --probe` for each partition; and the same without the conversion, on a raw copy that is there.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.timing import MIB, Row, cold, ours, run, timed

_PARTITIONS = 60
_EACH = 16
"""MiB of one partition."""


def make_disk(folder: Path) -> tuple[Path, Path]:
    """The disk as qcow2 and as raw: 60 logical partitions with ext4."""
    raw, alone = folder / "disk.raw", folder / "alone"
    with open(alone, "wb") as file:
        file.truncate(_EACH * MIB)
    run("mkfs.ext4", "-q", "-F", alone)
    step = _EACH + 1
    with open(raw, "wb") as file:
        file.truncate((1 + _PARTITIONS * step) * MIB)
        for number in range(_PARTITIONS):
            record = 2048 + number * step * 2048
            last = number + 1 == _PARTITIONS
            _record(file.fileno(), record, 2048, _EACH * 2048, 0 if last else (number + 1) * step * 2048)
    with open(raw, "r+b") as file:
        entry = b"\0\0\0\0\x05\0\0\0" + (2048).to_bytes(4, "little")
        os.pwrite(file.fileno(), entry + (_PARTITIONS * step * 2048).to_bytes(4, "little"), 446)
        os.pwrite(file.fileno(), b"\x55\xaa", 510)
    for number in range(_PARTITIONS):
        seek = 2 + number * step
        run("dd", f"if={alone}", f"of={raw}", "bs=1M", f"seek={seek}", "conv=notrunc,sparse", "status=none")
    qcow2 = folder / "disk.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
    return qcow2, raw


def _record(fd: int, at: int, start: int, count: int, link: int) -> None:
    """An extended boot record in sector `at`; the link counts from the first of them."""
    entry = b"\0\0\0\0\x83\0\0\0" + start.to_bytes(4, "little") + count.to_bytes(4, "little")
    other = b"\0\0\0\0\x05\0\0\0" + link.to_bytes(4, "little") + (start + count).to_bytes(4, "little")
    os.pwrite(fd, bytes(446) + entry + (other if link else bytes(16)) + bytes(32) + b"\x55\xaa", at * 512)


def _by_hand(qcow2: Path, raw: Path, *, converts: bool) -> None:
    run("qemu-img", "info", qcow2)
    if converts:
        run("qemu-img", "convert", "-O", "raw", qcow2, raw)
    run("sfdisk", "--list", raw)
    for number in range(_PARTITIONS):
        place = (2 + number * (_EACH + 1)) * MIB
        run("blkid", "--probe", "--offset", str(place), "--size", str(_EACH * MIB), raw)


def measure(folder: Path, rounds: int = 3) -> Iterator[Row]:
    """Inspecting, from the medium and out of the page cache, beside the commands by hand."""
    qcow2, raw = make_disk(folder)
    inspect = partial(ours, folder / "state", "inspect", qcow2)
    for told, emptied in (("cold", True), ("warm", False)):
        for converts, way in ((True, "with convert"), (False, "on a raw copy")):
            times: tuple[list[float], list[float]] = ([], [])
            hand = partial(_by_hand, qcow2, folder / "copy.raw" if converts else raw, converts=converts)
            for _round in range(rounds):
                for work, into in ((inspect, times[0]), (hand, times[1])):
                    if emptied:
                        cold()
                    into.append(timed(work))
            what = f"inspect, {_PARTITIONS} partitions in a qcow2, {told} / by hand {way}"
            yield Row(what, statistics.median(times[0]), statistics.median(times[1]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.inspecting")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The measurements empty the page cache, which needs root.")
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        for row in measure(Path(folder), options.rounds):
            print(row, flush=True)


if __name__ == "__main__":
    main()
