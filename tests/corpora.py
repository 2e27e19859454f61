"""Real images that nobody here made, with what is true of them; unpacked once in a run, for all tests."""

import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
_TABLE = CORPORA / "truth.json"
TRUTH: list[dict[str, Any]] = json.loads(_TABLE.read_text()) if _TABLE.exists() else []
"""What independent programs see in each; empty where the corpora are not beside the checkout."""
MISSING = "the corpora of real images are not beside the checkout"


def unpacked(base: Path) -> Path:
    """The images below `base`, the folder of one worker of the tests; the workers of a run share them."""
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "corpora"
    with open(shared / "corpora.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            halfway = shared / "corpora.part"
            subprocess.run([CORPORA / "unpack", halfway], check=True)
            halfway.rename(folder)
    return folder
