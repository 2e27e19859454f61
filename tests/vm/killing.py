"""Kills the program at the points of its journal and undoes what is left, in the test machine.

    MODULE=tests.vm.killing /checkout/tests/vm/salvage EVERY ARGUMENTS…

EVERY is 1 for each point, before and after its line is on disk, 3 for each third of these.
One process, which has the program in memory, forks a child for every point, since starting Python is what
takes time there. Tells as JSON how many it came to and what was left where.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial

from core.errors import Exit
from tests.faults.crash import run
from tui import main as program

STATE = ["--state-dir", "/tmp/state"]
LEFT = (
    "dmsetup ls; losetup --list --noheadings; grep fuse /proc/mounts; pgrep -a qemu; ls /sys/block/nbd*/pid"
)
MOST = 60


def ended(work: Callable[[], int]) -> int:
    """How a child that does the work ended: its exit status, or minus the number of the signal."""
    pid = os.fork()
    if not pid:
        os.setsid()
        quiet = os.open("/dev/null", os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def left() -> str:
    """What is up on the host."""
    return subprocess.run(["sh", "-c", LEFT], capture_output=True, text=True, check=False).stdout


def killed(every: int, arguments: list[str]) -> dict[str, object]:
    """What was left at which points; as many points as there are lines in the journal."""
    before, findings, hits = left(), [], 0
    points = [(point, moment) for point in range(1, MOST) for moment in ("before", "after")]
    for point, moment in points[every // 2 :: every]:
        status = ended(partial(run, point, moment, [*STATE, *arguments]))
        undone = ended(partial(program.main, [*STATE, "undo", "--all"]))
        if undone != Exit.DONE or left() != before:
            findings.append(f"{moment} {point}: undo ended with {undone}, and there is: {left()}")
        if status != -signal.SIGKILL:
            break
        hits += 1
    return {"hits": hits, "findings": findings}


def main(arguments: list[str]) -> int:
    every, *rest = arguments
    print(json.dumps(killed(int(every), rest)))
    return 0
