"""Measures side by side, in one run, and prints ratios; see README.md beside this file.

python -m tests.bench [--files N] [--big MIB] [--gib N] [--rounds N]
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench import feeling, holding, inspecting, listing, protecting, scanning
from tests.bench.timing import CHECKOUT, MIB, Row, by_hand, compared, each, mounted, ours, run


def make_disk(folder: Path, files: int, big: int) -> Path:
    """A raw disk, ext4 over all of it: `files` small files and one of `big` MiB."""
    raw = folder / "disk.raw"
    with open(raw, "wb") as file:
        file.truncate((big + 1024) * MIB)
    run("mkfs.ext4", "-q", "-F", "-N", str(files * 2 + 1000), raw)
    with mounted(raw, folder / "m", "rw") as tree:
        for number in range(files):
            place = tree / "small" / f"{number // 500:04}"
            if number % 500 == 0:
                place.mkdir(parents=True)
            (place / f"{number:06}").write_bytes(os.urandom(200 + number % 7 * 900))
        (tree / "big").mkdir()
        with open(tree / "big/data", "wb") as file:
            for _block in range(big):
                file.write(os.urandom(MIB))
    return raw


def measure(folder: Path, files: int, big: int, rounds: int) -> Iterator[Row]:
    raw = make_disk(folder, files, big)
    qcow2 = folder / "disk.qcow2"
    run("qemu-img", "convert", "-O", "qcow2", raw, qcow2)
    state, out = folder / "state", folder / "out"

    def tidy() -> None:
        run("rm", "-rf", out)

    yield compared(
        "first listing of a qcow2 disk / losetup + mount + ls of a raw one",
        lambda: ours(state, "ls", qcow2, "disk", "/"),
        lambda: by_hand(raw, folder, lambda tree: run("ls", tree)),
        rounds,
        tidy,
    )
    for image, name in ((raw, "raw"), (qcow2, "qcow2")):
        for part, told in (("small", f"{files} small files"), ("big", f"one file of {big} MiB")):
            yield compared(
                f"copy {told} out of {name}, hashed / cp -a from a raw loop + sync",
                lambda image=image, part=part: ours(  # type: ignore[misc]
                    state, "copy", "--format", image.suffix[1:], image, "disk", f"/{part}", out
                ),
                lambda part=part: by_hand(  # type: ignore[misc]
                    raw, folder, lambda tree: each(("cp", "-a", tree / part, out), ("sync", "-f", out))
                ),
                rounds,
                tidy,
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--big", type=int, default=1024, metavar="MIB")
    parser.add_argument("--gib", type=int, default=4, help="of the disk that is searched")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The measurements mount and empty the page cache, which needs root.")
    os.environ["PYTHONPATH"] = str(CHECKOUT)
    title = f"ours / the other way, cold, medians of {options.rounds}"
    print(f"{title:<66} {'ours':>9} {'other':>9} ratio")
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        for row in measure(Path(folder), options.files, options.big, options.rounds):
            print(row, flush=True)
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        for row in protecting.measure(Path(folder), options.rounds):
            print(row, flush=True)
        for row in inspecting.measure(Path(folder), options.rounds):
            print(row, flush=True)
        for row in listing.measure(Path(folder), rounds=options.rounds):
            print(row, flush=True)
        feeling.measure(Path(folder), 4 * options.big, 1_000_000, 100_000, 1_000_000)
        print(f"\n{holding.TITLE}")
        for cost in holding.measure(Path(folder)):
            print(cost, flush=True)
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        print("\nThe search for lost partitions")
        for line in scanning.measure(Path(folder), options.gib, options.rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
