"""Walks the wizard in a terminal of the test machine, by ways that the host has not, as a person does.

    MODULE=tests.vm.walk /checkout/tests/vm/salvage STATE DISK DOWN (WAY TARGET QUESTION)...

For each WAY it opens the partition so many keys DOWN from the first, marks its first folder and copies it to
TARGET; then it leaves. Prints, as JSON, for each the screens it came by and what the shell said to QUESTION
while it was open, and the exit status.
"""

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.tui.terminal import Terminal, terminal

SIZE = (100, 30)
CALL = ("env", "MODULE=tui.main", "/checkout/tests/vm/salvage")


@dataclass
class Walked:
    """What was seen by one way."""

    screens: list[str] = field(default_factory=list)
    up: str = ""

    def comes(self, one: Terminal, text: str) -> None:
        """Wait until that is on the screen and nothing moves."""
        one.shows(text)
        one.settled()
        self.screens.append(one.shown())


def walked(one: Terminal, down: int, way: str, target: str, question: str) -> Walked:
    """Walk from the table of partitions to what was recovered."""
    told = Walked()
    told.comes(one, "Extended")
    one.press("\x1b[H" + "j" * down + "\r")
    told.comes(one, "What shall be done with it")
    chosen = re.search(rf"(\d) +Browse and copy files, by {way}", one.shown())
    assert chosen, one.shown()
    one.press(chosen[1])
    told.comes(one, "lost+found")
    told.up = subprocess.run(["sh", "-c", question], capture_output=True, text=True, check=False).stdout
    one.press("u")
    told.comes(one, "undone by: ")
    one.press("\x1b")
    told.comes(one, "lost+found")
    one.press(" ")
    one.shows("1 thing, ")
    one.press("t")
    told.comes(one, "Where")
    one.press("1")
    one.shows("Into which folder")
    one.settled()
    one.press(f"\x15{target}\r")
    told.comes(one, "1 thing, ")
    one.press("y")
    told.comes(one, "Recovered: ")
    return told


def main(arguments: list[str]) -> int:
    state, disk, down, *ways = arguments
    with terminal(Path(state), disk, size=SIZE, call=CALL) as one:
        try:
            one.shows("How shall the disk be protected")
            one.settled()
            one.press("1")
            told = [walked(one, int(down), *ways[:3])]
            for at in range(3, len(ways), 3):
                one.press("3")
                told.append(walked(one, int(down), *ways[at : at + 3]))
            one.press("5")
        except AssertionError as error:
            print(error)
            return 1
        status = one.ended()
    print(json.dumps({"ways": [asdict(way) for way in told], "status": status}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
