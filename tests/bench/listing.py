"""What it costs to list a folder of images: python -m tests.bench.listing [--images N] [--rounds N]

Beside it, what one would type: `qemu-img info` on each, of which a few are run and the rest is reckoned; and
the look without the start of Python and without the printing, warm.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from core.disks.finding import find_disks
from core.disks.usage import Usage
from tests.bench.timing import Row, cold, ours, run, timed

IMAGES = 10_000
_SAMPLE = 100


def make_images(folder: Path, count: int) -> Path:
    """Half of them qcow2 with their tables, half raw."""
    images = folder / "images"
    images.mkdir()
    first = images / "0.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", first, "1G")
    whole = first.read_bytes()
    for number in range(count):
        if number % 2:
            with open(images / f"{number}.img", "wb") as file:
                file.truncate(1 << 20)
        else:
            (images / f"{number}.qcow2").write_bytes(whole)
    return images


def by_hand(images: Path, count: int) -> float:
    """Seconds of `qemu-img info` on each image, reckoned from some."""
    some = sorted(images.iterdir())[:_SAMPLE]
    began = time.monotonic()
    for image in some:
        subprocess.run(["qemu-img", "info", image], check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began) / len(some) * count


def measure(folder: Path, count: int = IMAGES, rounds: int = 3) -> Iterator[Row]:
    """The listing from the medium, and out of the page cache."""
    images = make_images(folder, count)
    state = folder / "state"
    other = by_hand(images, count)

    def listing() -> None:
        ours(state, "list", images)

    def look() -> None:
        assert sum(one.kind == "image" for one in find_disks([images], None, Usage.now([images]))) == count

    for told, is_cold in (("cold", True), ("warm", False)):
        times = []
        for _round in range(rounds):
            if is_cold:
                cold()
            times.append(timed(listing))
        yield Row(f"list {count} images, {told} / qemu-img info each", statistics.median(times), other)
    looks = statistics.median(timed(look) for _round in range(rounds))
    yield Row(f"the look at {count} images alone, warm / qemu-img info each", looks, other)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.listing")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        for row in measure(Path(folder), options.images, options.rounds):
            print(row, flush=True)


if __name__ == "__main__":
    main()
