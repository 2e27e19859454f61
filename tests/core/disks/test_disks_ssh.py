"""Disks of another host over ssh: against a real server on loopback, with keys and a password of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import tools
from core.disks import knock
from core.errors import Cancelled, Exit, SalvageError
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, needs_root
from tests.core.disks.small_guest import guest, image
from tests.core.disks.ssh_host import WORD, Host, ssh_host

pytestmark = [
    needs_root,
    pytest.mark.skipif(not tools.find("sshd"), reason="sshd (openssh-server) is not installed"),
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with ssh_host(tmp_path / "host") as running:
        running.let_in()
        yield running


def _program(
    host: Host, state: Path, *words: str | Path, agent: str = ""
) -> subprocess.CompletedProcess[str]:
    call = host.words(sys.executable, "-m", "tui.main", "--state-dir", state, *words)
    env = {**os.environ, **({"SSH_AUTH_SOCK": agent} if agent else {})}
    return subprocess.run(call, capture_output=True, text=True, timeout=120, env=env)


def test_files_come_over_ssh(tmp_path: Path, host: Host, guard: Guard, state_dir: Path) -> None:
    made = image(tmp_path, "web.qcow2", "qcow2")
    guard.watch(made)
    given = host.address(made)
    listed = _program(host, state_dir, "ls", given, "1", "/")
    assert "letter" in listed.stdout, listed.stderr
    copied = _program(host, state_dir, "copy", given, "1", "/letter", tmp_path / "out")
    assert copied.returncode == 0, copied.stderr
    assert (tmp_path / "out/letter").read_text() == "secret\n"
    told = json.loads(_program(host, state_dir, "list", "--json", given).stdout)
    assert [(one["path"], one["format"]) for one in told["disks"]] == [(given, "qcow2")]


def test_what_stands_in_the_way_is_a_sentence_with_a_remedy(
    tmp_path: Path, host: Host, guard: Guard, state_dir: Path
) -> None:
    made = guest(tmp_path)
    guard.watch(made)
    given = host.address(made)
    known = str(host.home / ".ssh/known_hosts")
    cases = {
        "unknown": ({"known": ""}, ["is not known yet", known, f"ssh -p {host.port} root@127.0.0.1"]),
        "another kind": ({"known": host.known("rsa")}, ["is not known yet", known]),
        "changed": ({"known": host.known("other")}, ["another one than", "SHA256:", "ssh-keygen -R"]),
        "no key": ({"key": False}, ["with no key", "SSH_AUTH_SOCK", str(host.home / ".ssh")]),
        "wrong word": ({"key": False, "password": "no"}, ["did not take that password of root"]),
        "no such user": ({"address": host.address(made, "nobody-here@")}, ["let nobody-here in with no key"]),
        "no file": ({"address": host.address(f"{made}.gone")}, ["There is no", ".gone on 127.0.0.1"]),
        "a folder": ({"address": host.address(tmp_path)}, ["not one byte"]),
        "no host": ({"address": "ssh://nowhere.invalid/x"}, ["No host is called nowhere.invalid"]),
        "refused": ({"address": "ssh://127.0.0.1:1/x"}, ["refuses the connection at port 1"]),
    }
    results = host.open(state_dir, [{"address": given, **case} for case, _told in cases.values()])
    for (name, (_case, told)), found in zip(cases.items(), results, strict=True):
        assert "error" in found, name
        assert all(part in found["error"] for part in told), (name, found["error"])
        assert "{" not in found["error"] and "opened" in found["error"], name
    assert os.listdir(state_dir / "sessions") == []


def test_a_key_an_agent_and_a_password_let_in(
    tmp_path: Path, host: Host, guard: Guard, state_dir: Path
) -> None:
    made = image(tmp_path, "web.qcow2", "qcow2")
    guard.watch(made)
    given, agent = host.address(made), str(tmp_path / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL) as running:
        while not os.path.exists(agent):
            assert running.poll() is None, "ssh-agent ended"
            time.sleep(0.02)
        env = {**os.environ, "SSH_AUTH_SOCK": agent}
        subprocess.run(["ssh-add", "-q", host.folder / "mine"], check=True, env=env, capture_output=True)
        by_key, by_agent, by_word = host.open(
            state_dir,
            [
                {"address": given},
                {"address": given, "key": False, "agent": agent},
                {"address": given, "key": False, "password": WORD},
            ],
        )
        running.terminate()
    for found in (by_key, by_agent, by_word):
        assert (found.get("format"), found.get("contents")) == ("qcow2", ["ext4"]), found.get("error")
    assert any("nbdkit" in line for line in by_word["ran"])
    assert by_word["leaks"] == [] and not any(WORD in line for line in by_word["ran"])
    assert not any("nbdkit" in line for line in by_key["ran"] + by_agent["ran"])


def test_a_password_shows_up_nowhere(tmp_path: Path, host: Host, guard: Guard, state_dir: Path) -> None:
    made = guest(tmp_path)
    guard.watch(made)
    host.let_in(key=False)
    word, given = tmp_path / "word", host.address(made)
    word.write_text(WORD + "\n")
    words = ("ls", "--passphrase-file", word, given, "1", "/")
    planned = _program(host, state_dir, words[0], "--dry-run", *words[1:])
    assert planned.returncode == 0 and "$PASSPHRASE_FILE" in planned.stdout, planned.stderr
    told = _program(host, state_dir, words[0], "--explain", *words[1:])
    assert "letter" in told.stdout and "password=-" in told.stderr, told.stderr
    assert WORD not in planned.stdout + planned.stderr + told.stdout + told.stderr


def _server_of(host: Host) -> int:
    """The process of the server that has the connection."""
    found = subprocess.run(
        ["pgrep", "-f", "^sshd: root@notty"], capture_output=True, text=True
    ).stdout.split()
    mine = []
    for pid in found:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if str(host.folder) in Path(f"/proc/{parent}/cmdline").read_text():
            mine.append(int(pid))
    assert len(mine) == 1
    return mine[0]


def test_a_server_that_falls_silent_is_let_go_of_when_asked(
    tmp_path: Path, host: Host, guard: Guard, state_dir: Path
) -> None:
    made = guest(tmp_path)
    guard.watch(made)
    words = host.words(sys.executable, "-m", "tui.main", "--state-dir", state_dir, "inspect", "--scan")
    with subprocess.Popen([*words, host.address(made)], stderr=subprocess.PIPE, text=True) as call:
        deadline = time.monotonic() + 60
        while str(state_dir) not in Path(f"/proc/{call.pid}/mounts").read_text():
            assert call.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        server = _server_of(host)
        os.kill(server, signal.SIGSTOP)
        try:
            time.sleep(0.5)
            asked = time.monotonic()
            call.send_signal(signal.SIGINT)
            _out, err = call.communicate(timeout=60)
        finally:
            os.kill(server, signal.SIGCONT)
    assert call.returncode == Exit.INTERRUPTED, err
    assert time.monotonic() - asked < 20
    assert "Traceback" not in err
    assert os.listdir(state_dir / "sessions") == []


def test_a_server_that_never_speaks_is_not_waited_for(
    tmp_path: Path, state_dir: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knock, "PATIENCE", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        for scheme in ("ssh", "nbd"):
            with (
                Session(StateFolder(state_dir), SystemRunner()) as session,
                pytest.raises(SalvageError, match="does not answer"),
            ):
                session.select(f"{scheme}://127.0.0.1:{port}/x")
        monkeypatch.setattr(knock, "PATIENCE", 60.0)
        with Session(StateFolder(state_dir), SystemRunner()) as session:
            threading.Timer(0.3, session.runner.cancel.cancel).start()
            began = time.monotonic()
            with pytest.raises(Cancelled):
                session.select(f"ssh://127.0.0.1:{port}/x")
            assert time.monotonic() - began < 5
            session.runner.cancel.reset()
    monkeypatch.setattr(knock, "PATIENCE", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as web:
        threading.Thread(
            target=lambda: web.accept()[0].sendall(b"HTTP/1.1 400 no\r\n\r\n"), daemon=True
        ).start()
        with (
            Session(StateFolder(state_dir), SystemRunner()) as session,
            pytest.raises(SalvageError, match="no server of SSH"),
        ):
            session.select(f"ssh://127.0.0.1:{web.getsockname()[1]}/x")
