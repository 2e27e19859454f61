"""Other sessions of the program that begin and end while something else goes on."""

import random
import subprocess
import sys
import threading
from pathlib import Path

from tests.faults.pipelines import SECRET, Place

_ROOT = Path(__file__).parents[2]
_STAYS = 2.0
"""Seconds that one has its volume open at most."""


class Beside:
    """A context manager: two at a time, a disk as raw and one as qcow2, with a state folder of their own."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.ended = 0
        """How many sessions began, read their file and ended as they should."""
        self.failed: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(format,)) for format in ("raw", "qcow2")]

    def __enter__(self) -> "Beside":
        self.place.base.mkdir(parents=True)
        self.place.make_disks()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _go(self, format: str) -> None:
        argv = [sys.executable, "-m", "tests.faults.standing", str(self.place.base / f"state-{format}")]
        rest = random.Random(format)
        while not self._over.is_set():
            with subprocess.Popen(
                [*argv, str(self.place.disk(format)), format],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                assert process.stdout
                up = process.stdout.readline()
                self._over.wait(rest.uniform(0, _STAYS))
                said, error = process.communicate("go\n")
            if (up, said, process.returncode) == ("up\n", SECRET, 0):
                self.ended += 1
            else:
                self.failed.append(f"{format}: {up}{said}{error}")
