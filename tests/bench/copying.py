"""Copies side by side with what one would type: `python -m tests.bench.copying [--files N] [--big MIB] …`.

Cold means an empty page cache, warm a second run at once. Each row is the whole process of ours, with every
byte hashed, against the other way from a raw loop, followed by `sync -f` as ours flushes too. `--chart FILE`
draws the rows that ran as SVG.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench.__main__ import by_hand
from tests.bench.charts import bars
from tests.bench.timing import CHECKOUT, MIB, cold, each, ours, run, timed

OTHERS = ("cp -a", "rsync -aHAX", "tar | tar")


def make_tree(at: Path, files: int, big: int) -> None:
    """Small files, a few big ones, a sparse one, and a mixture of all with links and attributes."""
    for number in range(files):
        place = at / "small" / f"{number // 500:04}"
        if number % 500 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06}").write_bytes(os.urandom(200 + number % 7 * 900))
    for part in ("big", "sparse", "mixed"):
        (at / part).mkdir()
    for number in range(3):
        with open(at / "big" / f"data{number}", "wb") as file:
            for _block in range(big // 3):
                file.write(os.urandom(MIB))
    with open(at / "sparse/disk", "wb") as file:
        file.truncate(big * 4 * MIB)
        for number in range(16):
            os.pwrite(file.fileno(), os.urandom(MIB), number * big // 4 * MIB)
    for number in range(files):
        place = at / "mixed" / f"{number // 20:05}"
        if number % 20 == 0:
            place.mkdir()
        size = 300_000 if number % 40 == 7 else 100 + number % 11 * 700
        path = place / f"{number:06}"
        path.write_bytes(os.urandom(size))
        if number % 25 == 3:
            os.setxattr(path, "user.note", b"x" * 30)
        if number % 30 == 5:
            os.link(path, place / "again")
            os.symlink(path.name, place / "link")


def make_disk(folder: Path, files: int, big: int) -> Path:
    raw = folder / "disk.raw"
    with open(raw, "wb") as file:
        file.truncate((big * 2 + 1024 + files // 20) * MIB)
    run("mkfs.ext4", "-q", "-F", "-N", str(files * 4 + 1000), raw)
    point = folder / "m"
    point.mkdir()
    run("mount", "-o", "loop", raw, point)
    try:
        make_tree(point, files, big)
    finally:
        run("umount", point)
    return raw


def other_way(name: str, part: str, out: Path, tree: Path) -> None:
    source = tree / part
    out.mkdir(exist_ok=True)
    if name == "cp -a":
        each(("cp", "-a", source, out), ("sync", "-f", out))
    elif name == "rsync -aHAX":
        each(("rsync", "-aHAXS", source, out), ("sync", "-f", out))
    else:
        pack = f"tar -C {source.parent} --xattrs --acls -cf - {source.name}"
        line = f"{pack} | tar -C {out} --xattrs --acls --numeric-owner -xpf -"
        each(("sh", "-c", line), ("sync", "-f", out))


def measure(folder: Path, files: int, big: int, rounds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """What was copied, and the medians in seconds by way; all ways in turn, `rounds` times."""
    raw = make_disk(folder, files, big)
    qcow2, state, out = folder / "disk.qcow2", folder / "state", folder / "out"
    run("qemu-img", "convert", "-O", "qcow2", raw, qcow2)
    for part in ("small", "big", "mixed", "sparse"):
        for warm in (False, True):
            ways: dict[str, Callable[[], None]] = {}
            for image in (raw, qcow2):
                kind = image.suffix[1:]
                words = ("copy", "--format", kind, image, "disk", f"/{part}", out)
                ways[f"ours, {kind}"] = partial(ours, state, *words)
            for name in OTHERS:
                ways[name] = partial(by_hand, raw, folder, partial(other_way, name, part, out))
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _round in range(rounds):
                for name, work in ways.items():
                    if warm:
                        run("rm", "-rf", out)
                        work()
                    run("rm", "-rf", out)
                    if not warm:
                        cold()
                    times[name].append(timed(work))
            run("rm", "-rf", out)
            what = f"{part}, {'warm' if warm else 'cold'}"
            yield what, {name: statistics.median(taken) for name, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.copying", description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--big", type=int, default=1024, metavar="MIB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chart", type=Path, metavar="FILE")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The measurements mount and empty the page cache, which needs root.")
    os.environ["PYTHONPATH"] = str(CHECKOUT)
    rows: list[tuple[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp") as folder:
        for what, times in measure(Path(folder), options.files, options.big, options.rounds):
            rows.append((what, times))
            limit = times["cp -a"]
            told = "  ".join(f"{name} {taken:.2f} s ({taken / limit:.2f})" for name, taken in times.items())
            print(f"{what:<12} {told}", flush=True)
    if options.chart:
        ratios = [(what, {n: t / times["cp -a"] for n, t in times.items()}) for what, times in rows]
        options.chart.write_text(bars(ratios, "Time to copy, hashed, against cp -a from a raw loop (1.0)"))


if __name__ == "__main__":
    main()
