"""Runs the program and kills it with SIGKILL at one point of its journal.

    python tests/faults/crash.py POINT MOMENT ARGUMENTS…

POINT counts the lines that the program writes to its journal, from 1; MOMENT is `before` or `after`
the line is on disk. With POINT 0 nothing is killed, and the number of lines goes to standard error.
"""

import os
import signal
import sys
from typing import Any

from core.undo.journal import Journal
from tui.main import main


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(point: int, moment: str, arguments: list[str]) -> int:
    written = 0
    append = Journal.append

    def counted(self: Journal, event: str, **values: Any) -> None:
        nonlocal written
        written += 1
        if written == point and moment == "before":
            _die()
        append(self, event, **values)
        if written == point and moment == "after":
            _die()

    Journal.append = counted  # type: ignore[method-assign]
    status = main(arguments)
    if point == 0:
        print(f"LINES {written}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
