"""Walks the wizard in a terminal of the test machine, by a way that the host has not, as a person does.

    python3 -m tests.vm.walk STATE DISK DOWN WAY TARGET QUESTION

Opens the partition that so many keys DOWN reach, marks its first folder, copies it and leaves. Prints, as
JSON, the screens it came by, what the shell said to QUESTION while it was open, and the exit status.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.tui.terminal import Terminal, terminal

SIZE = (100, 30)


def walked(one: Terminal, down: int, way: str, target: str, question: str) -> dict[str, object]:
    """Walk from the protection to the end; what was seen."""
    screens: list[str] = []

    def seen(text: str) -> None:
        one.shows(text)
        one.settled()
        screens.append(one.shown())

    seen("How shall the disk be protected")
    one.press("1")
    seen("Extended")
    one.press("j" * down + "\r")
    seen("What shall be done with it")
    chosen = re.search(rf"(\d) +Browse and copy files, by {way}", one.shown())
    assert chosen, one.shown()
    one.press(chosen[1])
    seen("lost+found")
    up = subprocess.run(["sh", "-c", question], capture_output=True, text=True, check=False).stdout
    one.press("u")
    seen("undone by: ")
    one.press("\x1b")
    seen("lost+found")
    one.press(" ")
    one.shows("1 thing, ")
    one.press("t")
    seen("Where")
    one.press("1")
    one.shows("Into which folder")
    one.settled()
    one.press(f"\x15{target}\r")
    seen("1 thing, ")
    one.press("y")
    seen("Recovered: ")
    one.press("5")
    return {"screens": screens, "up": up}


def main() -> None:
    state, disk, down, way, target, question = sys.argv[1:]
    with terminal(Path(state), disk, size=SIZE) as one:
        try:
            told = walked(one, int(down), way, target, question)
        except AssertionError as error:
            print(error)
            sys.exit(1)
        told["status"] = one.ended()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
