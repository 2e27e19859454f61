"""The search for lost partitions beside dd over the same bytes and beside testdisk on the same disk.

python -m tests.bench.scanning [--gib N] [--rounds N]

The search is timed by itself (`search`) and as the whole command (`inspect --scan`), with the disk in the
page cache and without, on a disk full of data and on a sparse one as virtual machines have it. testdisk
looks at the starts of cylinders and mebibytes only, and in its deeper search at the starts of tracks; ours
looks at every sector.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from core.cancel import CancelToken
from core.tables.lost.search import Found, search
from core.tools import find
from tests.bench.timing import MIB, cold, ours, run, timed

Way = tuple[str, Callable[[], None]]
_PARTS = 4


def make_disk(path: Path, gib: int) -> None:
    """A disk full of bytes, without a table: ext4, XFS and swap, and what no file system fills is noise."""
    chance, part = random.Random(1), gib * 1024 // _PARTS
    with open(path, "wb") as file:
        for _block in range(gib * 1024):
            file.write(chance.randbytes(MIB))
    makers = (
        ("mkfs.ext4", "-q", "-F"),
        ("mkfs.xfs", "-q", "-f"),
        ("mkswap", "-q"),
        ("mkfs.ext2", "-q", "-F"),
    )
    for number, maker in enumerate(makers):
        alone = path.with_suffix(".part")
        with open(alone, "wb") as file:
            file.truncate((part - 1) * MIB)
        run(*maker, alone)
        run(
            "dd",
            f"if={alone}",
            f"of={path}",
            "bs=1M",
            f"seek={number * part + 1}",
            "conv=notrunc,sparse",
            "status=none",
        )
        alone.unlink()


def _medians(ways: Sequence[Way], rounds: int, *, emptied: bool) -> dict[str, float]:
    """Seconds that each way takes, all in turn, `rounds` times."""
    times: dict[str, list[float]] = {name: [] for name, _work in ways}
    for _round in range(rounds):
        for name, work in ways:
            if emptied:
                cold()
            times[name].append(timed(work))
    return {name: statistics.median(taken) for name, taken in times.items()}


def measure(folder: Path, gib: int, rounds: int) -> Iterator[str]:
    """The lines of the report."""
    disk = folder / "scan.raw"
    make_disk(disk, gib)
    yield f"a disk of {gib} GiB, full"
    yield from _compared(disk, folder / "state", rounds)
    with open(disk, "r+b") as file:
        file.truncate(0)
        file.truncate(gib * 10 << 30)
    run("mkfs.ext4", "-q", "-F", "-E", f"offset={MIB}", disk, f"{gib * 10 * 1024 - 2}M")
    yield f"a sparse disk of {gib * 10} GiB with an empty ext4"
    yield from _compared(disk, folder / "state", rounds)


def _compared(disk: Path, state: Path, rounds: int) -> Iterator[str]:
    found: list[Found] = []
    ways: list[Way] = [
        ("dd bs=1M", lambda: run("dd", f"if={disk}", "of=/dev/null", "bs=1M", "status=none")),
        ("search", lambda: found.append(search(disk, CancelToken()))),
        ("inspect --scan", lambda: ours(state, "inspect", "--scan", "--format", "raw", disk)),
    ]
    if find("testdisk"):
        for told, steps in (("quick search", "search"), ("and deeper search", "search,search")):
            words = ("testdisk", "/cmd", disk, f"partition_i386,analyze,{steps}")
            ways.append((f"testdisk, {told}", partial(run, "env", "TERM=dumb", *words)))
    for emptied, told in ((True, "cold"), (False, "warm")):
        taken = _medians(ways, rounds, emptied=emptied)
        for name, seconds in taken.items():
            rate = disk.stat().st_size / seconds / 1e9
            yield (
                f"{told}  {name:<27} {seconds:7.2f} s  {rate:7.2f} GB/s of the disk"
                f"  {taken['dd bs=1M'] / seconds:6.2f} of dd's speed"
                f"  {seconds / taken['search']:6.1f} × search"
            )
    kinds = ", ".join(one.content for one in found[-1].chosen)
    yield f"found: {kinds}; read {found[-1].read >> 20} of {disk.stat().st_size >> 20} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scanning", description=__doc__)
    parser.add_argument("--gib", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The measurements empty the page cache, which needs root.")
    with tempfile.TemporaryDirectory(prefix="virt-salvage-scan-", dir="/var/tmp") as folder:
        for line in measure(Path(folder), options.gib, options.rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
