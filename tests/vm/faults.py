"""The fault sweep of the ways that need the device mapper, nbd or md: `python -m tests.vm.faults [WORD …]`.

Every situation of a pipeline is hit by one fault (see `tests.faults.sample`), and `--seed` says by which;
`--whole` takes them all. Each machine has one pipeline. Ends with 1 if anything was left behind.
"""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.errors import SalvageError
from tests.faults.classical import PIPELINES
from tests.faults.points import FAULTS

from . import usermode
from .build import Image, build
from .machine import Machine, Result
from .qemu import Setup

CHECKOUT = Path(__file__).parents[2]
MEMORY = 1500
"""MiB."""
PATIENCE = 4 * 3600.0
"""Seconds that the sweep of one pipeline may take."""
_SUMMARY = re.compile(r"(\d+) faults, (\d+) left behind, (\d+) seconds")
_SWEEP = "mkdir -p /tmp/faults; TMPDIR=/tmp/faults python3 -m tests.faults.sweep --classical"


def swept(image: Image, pipeline: str, options: Sequence[str]) -> Result:
    """What a sweep of one pipeline says, in a machine of its own."""
    with Machine(image, Setup(CHECKOUT, memory=MEMORY, accelerator=usermode.preferred())) as machine:
        return machine.run(f"{_SWEEP} {shlex.join(options)} --only {shlex.quote(pipeline)} 2>&1", PATIENCE)


def sweeps(pipelines: Sequence[str], options: Sequence[str], machines: int) -> Iterator[tuple[str, Result]]:
    """The pipelines with what came of them, some at the same time."""
    image = build()
    with ThreadPoolExecutor(machines) as pool:
        yield from zip(pipelines, pool.map(lambda one: swept(image, one, options), pipelines), strict=True)


def counted(said: str) -> tuple[int, int]:
    """How many faults a sweep hit with, and how many left something; none if it did not come to its end."""
    found = _SUMMARY.search(said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm.faults")
    parser.add_argument("words", nargs="*", metavar="WORD", help="pipelines whose name contains one of them")
    parser.add_argument("--whole", action="store_true", help="every fault at every point")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which one of a situation's faults")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="this fault, not all; several times")
    parser.add_argument("--machines", type=int, default=os.cpu_count() or 1, metavar="N", help="at a time")
    asked = parser.parse_args()
    chosen = [
        one.name for one in PIPELINES if not asked.words or any(word in one.name for word in asked.words)
    ]
    options = [] if asked.whole else ["--sample", "--seed", str(asked.seed)]
    options += [word for fault in asked.fault or () for word in ("--fault", fault)]
    faults = left = 0
    good = True
    try:
        for name, result in sweeps(chosen, options, asked.machines):
            print(f"== {name}\n{result.output}", flush=True)
            hit, bad = counted(result.output)
            faults, left, good = faults + hit, left + bad, good and result.status == 0 and hit > 0
    except SalvageError as error:
        print(error.paragraph(), file=sys.stderr)
        return int(error.status)
    print(f"{faults} faults, {left} left behind")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
