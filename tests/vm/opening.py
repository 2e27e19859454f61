"""Opens many volumes in one process, for the test machine, where starting Python is what takes time.

    python3 -m tests.vm.opening STATE LONG [PASSPHRASE]
    MODULE=tests.vm.opening /checkout/tests/vm/salvage STATE LONG [PASSPHRASE]

Reads ``{DISK: [VOLUME, …], …}`` as JSON from standard input. For each volume it tells what the files below
``/home`` hold, LONG being what is in the long one, or the error; last what is still up on the host. The
passphrase is that of all that is encrypted.
"""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from core.errors import SalvageError
from core.runner import SystemRunner
from core.secrets import Secret
from core.session import Session
from core.undo.state import StateFolder

LEFT = "dmsetup ls; losetup --list --noheadings; grep -c fuse /proc/mounts; grep ^md /proc/mdstat"


def opened(session: Session, name: str, long: bytes) -> dict[str, object]:
    """What one volume holds."""
    found: dict[str, object] = {}
    try:
        tree = session.open(name)
        home = tree.root / "home"
        found["letter"] = (home / "letter").read_text().strip()
        found["whole"] = (home / "long").read_bytes() == long
        found["problems"] = list(tree.volume.problems)
        found["up"] = [entry.what for entry in reversed(session.stack.standing)]
    except SalvageError as error:
        found["error"] = error.paragraph()
        found["status"] = int(error.status)
    print(name, found, file=sys.stderr, flush=True)
    return found


def _told(session: Session, secret: Secret, path: Path) -> None:
    session.unlock(path, secret)


def main(arguments: list[str]) -> int:
    where, long, *passphrase = arguments
    state = StateFolder(Path(where))
    results: dict[str, dict[str, object]] = {}
    for disk, names in json.load(sys.stdin).items():
        with Session(state, SystemRunner()) as session:
            secret = Secret(passphrase[0].encode()) if passphrase else None
            if secret:
                session.ask = partial(_told, session, secret)
            session.select(disk, "raw")
            results[disk] = {name: opened(session, name, Path(long).read_bytes()) for name in names}
            results[disk]["volumes"] = [one.to_json() for one in session.inspect().volumes]
    left = subprocess.run(["sh", "-c", LEFT], capture_output=True, text=True, check=False).stdout
    print(json.dumps({"opened": results, "left": left}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
