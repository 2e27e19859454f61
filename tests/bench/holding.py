"""What it costs to look who holds a disk: python -m tests.bench.holding [--processes N] [--rounds N]

Beside it, what one would type: `fuser` on the file, which asks the processes only, and of neither locks,
loops, block devices, hypervisors nor arguments.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.disks.holders import lock_to_read, survey
from core.disks.vet import vet
from core.runner import SystemRunner

TITLE = f"{'medians by the clock; least processor time of ours':<66} {'clock':>9} {'processor':>9}"


@dataclass(frozen=True)
class Cost:
    """Of one look, in milliseconds: the median of the clock, and the least of the processor's time."""

    what: str
    clock: float
    processor: float

    def __str__(self) -> str:
        return f"{self.what:<66} {self.clock:6.1f} ms {self.processor:6.1f} ms"


@contextmanager
def crowd(count: int) -> Iterator[None]:
    """So many processes that do nothing."""
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _number in range(count)]
    try:
        yield
    finally:
        for one in sleepers:
            one.kill()
        for one in sleepers:
            one.wait()


def cost(what: str, work: Callable[[], object], rounds: int) -> Cost:
    """What some work of this process costs."""
    clock, processor = [], []
    for _round in range(rounds):
        began, used = time.monotonic(), time.process_time()
        work()
        clock.append(time.monotonic() - began)
        processor.append(time.process_time() - used)
    return Cost(what, statistics.median(clock) * 1000, min(processor) * 1000)


def measure(folder: Path, processes: int = 500, rounds: int = 9) -> Iterator[Cost]:
    """The look, the look with the lock, and the part of `fuser`, among so many processes."""
    image = folder / "disk.raw"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    disk = vet(str(image), "raw", (), SystemRunner())
    with crowd(processes):
        yield cost(f"who holds a disk, among {processes} processes", lambda: survey(disk), rounds)
        yield cost("the same, and a reader's lock taken", lambda: lock_to_read(disk).close(), rounds)
        if shutil.which("fuser"):
            argv = ["fuser", str(image)]
            yield cost("fuser", lambda: subprocess.run(argv, capture_output=True, check=False), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.holding")
    parser.add_argument("--processes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(TITLE)
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        for one in measure(Path(folder), options.processes, options.rounds):
            print(one, flush=True)


if __name__ == "__main__":
    main()
