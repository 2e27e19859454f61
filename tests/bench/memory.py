"""Memory that a copy takes at most: `python -m tests.bench.memory [--files 10000,300000,3000000]`.

Empty files, a thousand in a folder: nothing but their number counts. Told is the largest resident size
of the program's own process (ru_maxrss in getrusage(2)) and how long it took.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.timing import CHECKOUT, MIB, mounted, run

_FOLDER = 1000


def make_disk(folder: Path, count: int) -> Path:
    """A raw disk with `count` empty files, or the one that a run before left."""
    raw = folder / f"files-{count}.raw"
    if raw.exists():
        return raw
    made = folder / "making.raw"
    with open(made, "wb") as file:
        file.truncate((64 + count // 2000) * MIB)
    run("mkfs.ext4", "-q", "-F", "-I", "128", "-N", str(count + count // 500 + 1000), made)
    with mounted(made, folder / "m", "rw") as tree:
        for number in range(count):
            if number % _FOLDER == 0:
                place = tree / "many" / f"{number // _FOLDER:06}"
                place.mkdir(parents=True)
            os.close(os.open(place / f"{number:07}", os.O_CREAT | os.O_WRONLY | os.O_EXCL))
    made.rename(raw)
    return raw


def peak(raw: Path, folder: Path, out: Path) -> tuple[float, float]:
    """MiB of memory and seconds of one copy."""
    words = ("--state-dir", folder / "state", "copy", "--format", "raw", raw, "disk", "/many", out)
    command = [sys.executable, "-m", "tui.main", *map(str, words)]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss / 1024, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--files", default="10000,300000,3000000")
    parser.add_argument("--folder", type=Path, help="where the disks are kept for the next run")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The measurements mount, which needs root.")
    os.environ["PYTHONPATH"] = str(CHECKOUT)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="virt-salvage-bench-", dir=options.folder or "/var/tmp") as made:
        kept = options.folder or Path(made)
        for number in map(int, options.files.split(",")):
            raw = make_disk(kept, number)
            mib, seconds = peak(raw, Path(made), Path(made, f"out-{number}"))
            print(f"{number:>9} files: at most {mib:.0f} MiB, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
