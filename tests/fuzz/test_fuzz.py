"""A short run of the fuzzer, and that it notices what it looks for."""

import faulthandler
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Guard
from tests.fuzz import running
from tests.fuzz.running import Fuzzer, Outcome, Stock, stock
from tests.fuzz.seeds import Seed
from tests.fuzz.targets import TARGETS, Target

SEED = 5
SECONDS = 10.0
LEAST = 100
"""Cases that a slow machine manages too."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    return stock(TARGETS, tmp_path_factory.mktemp("seeds"))


def run(targets: Mapping[str, Target], made: Stock, folder: Path, seconds: float) -> Outcome:
    fuzzer = Fuzzer(SEED, targets, made, folder)
    for _outcome in fuzzer.cases(time.monotonic() + seconds):
        pass
    return fuzzer.outcome


def test_damaged_headers_and_tables_end_in_sentences(guard: Guard) -> None:
    # in an interpreter of its own: a child's memory counts from what its parent had
    call = [sys.executable, "-m", "tests.fuzz", "--seed", str(SEED), "--minutes", str(SECONDS / 60)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"([\d,]+) cases", done.stdout)
    assert counted and int(counted[1].replace(",", "")) >= LEAST, done.stdout


def test_every_kind_of_seed_can_be_made(made: Stock) -> None:
    assert {name: len(made[name]) for name in ("header", "table", "lost")} == {
        "header": 30,
        "table": 19,
        "lost": 19,
    }


def _crashes(path: Path, chance: random.Random) -> None:
    raise KeyError("segment")


def _dies(path: Path, chance: random.Random) -> None:
    faulthandler.disable()  # this death is wanted: its traceback would only be in the way
    os.abort()


def _hangs(path: Path, chance: random.Random) -> None:
    time.sleep(60)


def _dawdles(path: Path, chance: random.Random) -> None:
    time.sleep(0.6)


def _writes(path: Path, chance: random.Random) -> None:
    with open(path, "ab") as file:
        file.write(b"!")


def _eats(path: Path, chance: random.Random) -> None:
    assert len(b"x" * (320 << 20)) > 0


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (_crashes, "KeyError: 'segment'"),
        (_dies, "the process died"),
        (_hangs, "hangs for more than"),
        (_dawdles, "took 0.6 s"),
        (_writes, "the disk was written to"),
        (_eats, "MiB of memory"),
    ],
)
def test_it_notices(
    act: Callable[[Path, random.Random], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if act in (_hangs, _dawdles):
        monkeypatch.setattr(running, "SECONDS", 0.5)
        monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    seed = Seed("seed", ".img", 4096, ((0, b"header"),))
    outcome = run({"one": Target(lambda _folder: [seed], act, 1)}, {"one": (seed,)}, tmp_path, 1.0)
    assert outcome.findings and all(said in str(one) for one in outcome.findings), outcome.findings


def test_a_case_is_the_same_every_time(made: Stock, tmp_path: Path) -> None:
    fuzzer = Fuzzer(SEED, TARGETS, made, tmp_path)
    for number in range(20):
        one, again = (fuzzer.case(number) for _turn in range(2))
        assert (one.target, one.seed) == (again.target, again.seed)
        assert one.chance.random() == again.chance.random()
