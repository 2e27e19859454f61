"""Copies side by side with what one would type: `python -m tests.bench.copying [--parts small,big] …`.

Cold means an empty page cache, warm a second run at once. Each figure is the whole process of ours, with
every byte hashed, against the other way from a raw loop, followed by `sync -f` as ours flushes too. With
`--peers` other tools for disk images take part, those installed, each from the qcow2. `--record FILE`
adds the medians to a file that `python -m tests.bench.charts` draws: parts may be measured in several runs.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench import peers
from tests.bench.timing import CHECKOUT, by_hand, cold, each, ours, run, timed
from tests.bench.trees import PARTS, make_disk, make_target, new_target

LIMIT = "cp -a"
OTHERS = (LIMIT, "rsync -aHAX", "tar | tar")
HEAT = ("cold", "warm")
Ways = dict[str, Callable[[Path], None]]


def other_way(name: str, part: str, out: Path, tree: Path) -> None:
    source = tree / part
    out.mkdir(exist_ok=True)
    if name == LIMIT:
        each(("cp", "-a", source, out), ("sync", "-f", out))
    elif name == "rsync -aHAX":
        each(("rsync", "-aHAXS", source, out), ("sync", "-f", out))
    else:
        pack = f"tar -C {source.parent} --sparse --xattrs --acls -cf - {source.name}"
        line = f"{pack} | tar -C {out} --xattrs --acls --numeric-owner -xpf -"
        each(("sh", "-c", line), ("sync", "-f", out))


def peer_way(peer: peers.Peer, image: Path, part: str, out: Path) -> None:
    out.mkdir(exist_ok=True)
    peer.copy(image, part, out)
    run("sync", "-f", out)
    if not any(out.iterdir()):
        sys.exit(f"{peer.name} copied nothing.")


def our_way(image: Path, part: str, out: Path) -> None:
    kind = image.suffix[1:]
    words = ("copy", "--privileges", "--format", kind, image, "disk", f"/{part}", out)
    ours(image.with_name("state"), *words)


def hand_way(name: str, raw: Path, part: str, out: Path) -> None:
    by_hand(raw, raw.parent, partial(other_way, name, part, out))


def ways_for(raw: Path, qcow2: Path, part: str, with_peers: bool) -> Ways:
    """The ways to copy one part out into a folder, by name."""
    ways: Ways = {}
    for image in (raw, qcow2):
        ways[f"ours, {image.suffix[1:]}"] = partial(our_way, image, part)
    for name in OTHERS if not with_peers else (LIMIT,):
        ways[name] = partial(hand_way, name, raw, part)
    if with_peers:
        for peer in peers.PEERS:
            if peer.is_here:
                ways[peer.name] = partial(peer_way, peer, qcow2, part)
    return ways


def measure(ways: Ways, folder: Path, warm: bool, rounds: int) -> dict[str, float]:
    """Medians in seconds by way; all ways in turn, `rounds` times, each onto a new file system."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _round in range(rounds):
        for name, work in ways.items():
            if warm:
                with new_target(folder) as target:
                    work(target / "out")
            with new_target(folder) as target:
                if warm:
                    os.sync()
                else:
                    cold()
                times[name].append(timed(partial(work, target / "out")))
    return {name: statistics.median(taken) for name, taken in times.items()}


def rows(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    raw, qcow2 = make_disk(folder, options.files, options.big, options.system, options.system_mib)
    make_target(folder, 2 * max(options.big, options.system_mib))
    for part in options.parts:
        for heat in options.heat:
            ways = ways_for(raw, qcow2, part, options.peers)
            yield f"{part}, {heat}", measure(ways, folder, heat == "warm", options.rounds)


def _some_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def some(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := set(wanted) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: none of {', '.join(known)}")
        return wanted

    return some


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.copying", description=__doc__)
    parser.add_argument("--parts", type=_some_of(PARTS), default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--heat", type=_some_of(HEAT), default=list(HEAT), help=",".join(HEAT))
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--big", type=int, default=1024, metavar="MIB")
    parser.add_argument("--system", type=Path, default=Path("/usr"), metavar="FOLDER")
    parser.add_argument("--system-mib", type=int, default=2048, metavar="MIB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="other tools for disk images too")
    parser.add_argument("--folder", type=Path, help="where the disk is kept for the next run")
    parser.add_argument("--record", type=Path, metavar="FILE")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The measurements mount and empty the page cache, which needs root.")
    os.environ["PYTHONPATH"] = str(CHECKOUT)
    if options.peers:
        peers.prepare()
        for peer in peers.PEERS:
            if not peer.is_here:
                print(f"{peer.name} is left out: {peer.program} ({peer.package}) is not in the PATH.")
    with ExitStack() as stack:
        if options.folder:
            options.folder.mkdir(parents=True, exist_ok=True)
        folder = options.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir="/var/tmp"))
        )
        for what, times in rows(options, folder):
            limit = times[LIMIT]
            told = "  ".join(f"{name} {taken:.2f} s ({taken / limit:.2f})" for name, taken in times.items())
            print(f"{what:<12} {told}", flush=True)
            if options.record:
                with open(options.record, "a") as record:
                    record.write(json.dumps({"what": what, "seconds": times}) + "\n")


if __name__ == "__main__":
    main()
