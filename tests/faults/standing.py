"""Opens a volume and keeps it open: python -m tests.faults.standing STATE DISK FORMAT [TARGET]

Says `up` on standard output, waits for a line on standard input, reads a file of the volume, says what is in
it, and ends like any other session. TARGET is a file that is open meanwhile; the same is written to it.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder


def stand(state: Path, disk: str, format: str, *targets: str) -> None:
    with Session(StateFolder(state), SystemRunner()) as session, ExitStack() as opened:
        session.select(disk, format)
        tree = session.open("disk")
        files = [sys.stdout, *(opened.enter_context(open(path, "w")) for path in targets)]
        print("up", flush=True)
        sys.stdin.readline()
        for file in files:
            print((tree.root / "home/letter.txt").read_text(), end="", file=file, flush=True)


if __name__ == "__main__":
    stand(Path(sys.argv[1]), *sys.argv[2:])
