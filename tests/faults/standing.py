"""Opens a volume and keeps it open: python -m tests.faults.standing STATE DISK FORMAT

Says `up` on standard output, waits for a line on standard input, reads a file of the volume, says what is in
it, and ends like any other session.
"""

import sys
from pathlib import Path

from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder


def stand(state: Path, disk: str, format: str) -> None:
    with Session(StateFolder(state), SystemRunner()) as session:
        session.select(disk, format)
        tree = session.open("disk")
        print("up", flush=True)
        sys.stdin.readline()
        print((tree.root / "home/letter.txt").read_text(), end="", flush=True)


if __name__ == "__main__":
    stand(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
