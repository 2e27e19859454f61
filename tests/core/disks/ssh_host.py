"""A server of SSH on loopback with keys of its own, and a home for who connects to it.

Nothing of the host's own takes part: the server reads a copy of /etc/shadow with a password of the test, and
who connects is root with another home. Both see those files in mount namespaces of their own.

Called as a program it opens addresses one after the other, in one process, and tells what came of each.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import SalvageError
from core.runner import SystemRunner
from core.secrets import Secret
from core.session import Session
from core.undo.state import StateFolder

WORD = "let me in, please"
_CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""
_SERVE = 'mount -t tmpfs none /run && mkdir /run/sshd && mount --bind "$0" /etc/shadow && exec "$@"'
_AS = 'mount --bind "$0" /etc/passwd && exec "$@"'


@dataclass(frozen=True)
class Host:
    """The server, and the folder with its keys and the home."""

    port: int
    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def address(self, path: Path | str, user: str = "") -> str:
        return f"ssh://{user}127.0.0.1:{self.port}{path}"

    def known(self, key: str = "host") -> str:
        """A line of known_hosts."""
        name, value = (self.folder / f"{key}.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {name} {value}\n"

    def let_in(self, *, known: str | None = None, key: bool = True) -> None:
        """Give the home what it knows and has."""
        (self.home / ".ssh/known_hosts").write_text(self.known() if known is None else known)
        mine = self.home / ".ssh/id_ed25519"
        shutil.copy(self.folder / "mine", mine) if key else mine.unlink(missing_ok=True)

    def words(self, *words: str | Path) -> list[str]:
        """A command, as the root whose home that is."""
        return [
            *("unshare", "--mount", "sh", "-c", _AS),
            str(self.folder / "passwd"),
            *map(str, words),
        ]

    def open(self, state: Path, cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """What comes of each case; see `main`."""
        told = [{"known": self.known(), "key": True, **case} for case in cases]
        script = self.words(sys.executable, "-m", "tests.core.disks.ssh_host", state, self.folder)
        done = subprocess.run(script, input=json.dumps(told).encode(), capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


@contextmanager
def ssh_host(folder: Path) -> Iterator[Host]:
    """Run the server as long as it is wanted."""
    (folder / "home/.ssh").mkdir(parents=True)
    for name, kind in (("host", "ed25519"), ("mine", "ed25519"), ("other", "ed25519"), ("rsa", "rsa")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "mine.pub", folder / "authorized")
    hashed = subprocess.run(["openssl", "passwd", "-6", WORD], check=True, capture_output=True, text=True)
    for name, field, value in (("shadow", 1, hashed.stdout.strip()), ("passwd", 5, str(folder / "home"))):
        lines = [line.split(":") for line in Path("/etc", name).read_text().splitlines()]
        for line in lines:
            if line[0] == "root":
                line[field] = value
        (folder / name).write_text("".join(":".join(line) + "\n" for line in lines))
        (folder / name).chmod(0o600 if name == "shadow" else 0o644)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder))
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert sshd
    words = [*("unshare", "--mount", "sh", "-c", _SERVE), folder / "shadow", sshd, "-D", "-e", "-f"]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([*words, folder / "config"], stderr=log)
    try:
        deadline = time.monotonic() + 30
        while b"listening" not in (folder / "log").read_bytes():
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield Host(port, folder)
    finally:
        server.terminate()
        server.wait()


def leaks(state: Path, word: str) -> list[str]:
    """Where the word can be read by others now: in what runs, and in what is kept."""
    places = [one for one in state.rglob("*") if one.is_file() and not one.name.startswith("image")]
    for process in Path("/proc").glob("[0-9]*"):
        places += [process / "cmdline", process / "environ"]
    found = []
    for place in places if word else []:
        try:
            text = place.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue  # it ended meanwhile
        if word.encode() in text:
            found.append(str(place))
    return found


def _opened(state: StateFolder, case: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    found: dict[str, Any] = {}
    if "agent" in case:
        os.environ["SSH_AUTH_SOCK"] = case["agent"]
    with Session(state, SystemRunner()) as session:
        if "password" in case:
            session.ask = lambda path: session.unlock(path, Secret.typed(case["password"]))
        try:
            found["format"] = session.select(case["address"]).format
            found["contents"] = [volume.content for volume in session.inspect().volumes]
            found["leaks"] = leaks(state.path, case.get("password", ""))
        except SalvageError as error:
            found |= {"error": error.paragraph(), "status": int(error.status)}
        found["ran"] = [" ".join(ran.command.argv) for ran in session.runner.transcript]
    os.environ.pop("SSH_AUTH_SOCK", None)
    return {**found, "seconds": time.monotonic() - began}


def main() -> None:
    """Open what standard input names; STATE and the server's folder are the arguments."""
    state, folder = StateFolder(Path(sys.argv[1])), Path(sys.argv[2])
    results = []
    for case in json.load(sys.stdin):
        Host(0, folder).let_in(known=case["known"], key=case["key"])
        results.append(_opened(state, case))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
