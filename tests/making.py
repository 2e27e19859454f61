"""Makes file systems for tests."""

import subprocess
import time
from pathlib import Path


def make_btrfs(*arguments: str | Path) -> None:
    """mkfs.btrfs, which looks whether any loop device of the host stands on the file.

    Where another test has let the server of one die just then, it gives up: "cannot check mount status".
    """
    for _try in range(20):
        made = subprocess.run(["mkfs.btrfs", "-q", *arguments], check=False, capture_output=True, text=True)
        if "cannot check mount status" not in made.stderr:
            break
        time.sleep(0.5)
    assert made.returncode == 0, made.stderr
