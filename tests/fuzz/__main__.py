"""`python -m tests.fuzz --minutes 60 --seed 7`: fuzz headers, tables and the search for lost partitions."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.running import Fuzzer, stock
from tests.fuzz.targets import TARGETS

_REPORT = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--case", type=int, help="this one case only, kept as a file")
    parser.add_argument("--only", choices=sorted(TARGETS), help="this target only (other cases then)")
    options = parser.parse_args()
    targets = {name: one for name, one in TARGETS.items() if options.only in (None, name)}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        fuzzer = Fuzzer(options.seed, targets, stock(targets, folder), folder, number=options.first)
        if options.case is not None:
            one = fuzzer.case(options.case)
            kept = Path(f"case-{options.seed}-{options.case}{one.seed.suffix}")
            one.seed.write(kept)
            print(f"{kept}: {one.target}, made of {one.seed.name}")
            print(fuzzer.attempt(one)[1:])
            return 0
        return _run(fuzzer, 60 * options.minutes)


def _run(fuzzer: Fuzzer, seconds: float) -> int:
    began = last = time.monotonic()
    told = 0
    for outcome in fuzzer.cases(began + seconds):
        for finding in outcome.findings[told:]:
            print(finding, flush=True)
        told = len(outcome.findings)
        if time.monotonic() - last > _REPORT:
            last = time.monotonic()
            print(outcome.sentence(fuzzer.run, last - began), flush=True)
    print(fuzzer.outcome.sentence(fuzzer.run, time.monotonic() - began))
    return 1 if fuzzer.outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
