"""Images that QEMU encrypted: the passphrase opens them, and shows up nowhere."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import Exit, NeedsPassphrase
from core.runner import SystemRunner
from core.secrets import Secret
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root

pytestmark = needs_root

WORD = "hush-Käse 7"
SIZE = 8 << 20
# Few rounds: the images are made here, and how long a guess takes is not what is tested
FAST = ["-o", "encrypt.iter-time=10"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one image of the new kind that most tests take a copy of: making it takes a second."""
    return encrypted_image(tmp_path_factory.mktemp("encrypted"), "luks")


@pytest.fixture
def image(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "luks.qcow2"))


def encrypted_image(
    folder: Path, method: str, text: str = "secret\n", word: str = WORD, below: str = ""
) -> Path:
    """A qcow2 or qcow image that holds one ext4 with one file, encrypted by qemu-img itself."""
    tree, raw = folder / "tree", folder / "content.raw"
    tree.mkdir(exist_ok=True)
    (tree / "letter").write_text(text)
    raw.unlink(missing_ok=True)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw, "8M"], check=True)
    kind = "qcow" if method == "qcow" else "qcow2"
    method = "aes" if method == "qcow" else method
    image = folder / f"{method}{len(list(folder.iterdir()))}.{kind}"
    secret = ["--object", f"secret,id=s,data={word}"]
    words = ["-o", f"encrypt.format={method},encrypt.key-secret=s", *(FAST if method == "luks" else [])]
    over = ["-F", "qcow2", "-u", "-b", below] if below else []
    made: list[str | Path] = [
        "qemu-img",
        "create",
        "-q",
        *secret,
        "-f",
        kind,
        *over,
        *words,
        image,
        str(SIZE),
    ]
    for turn in range(10):  # on a busy host QEMU cannot always measure how many rounds it wants
        if subprocess.run(made, check=turn == 9, capture_output=True).returncode == 0:
            break
    target = f"driver={kind},encrypt.format={method},encrypt.key-secret=s,file.filename={image}"
    if below:
        return image
    argv: list[str | Path] = ["qemu-img", "convert", "-n", *secret, "--target-image-opts", raw, target]
    subprocess.run(argv, check=True)
    return image


def _key(folder: Path, word: str = WORD) -> Path:
    path = folder / f"key-{word[:4]}"
    path.write_text(word + "\n")
    return path


@pytest.mark.parametrize("method", ["luks", "aes", "qcow"])
def test_with_its_passphrase_it_opens(method: str, tmp_path: Path, program: Program, guard: Guard) -> None:
    image = encrypted_image(tmp_path, method)
    guard.watch(image)
    read = program("cat", "--passphrase-file", _key(tmp_path), image, "disk", "/letter")
    assert (read.status, read.out) == (0, "secret\n"), read.err
    shown = json.loads(program("inspect", "--json", "--passphrase-file", _key(tmp_path), image).out)
    assert shown["volumes"][0]["content"] == "ext4"
    assert shown["disk"]["chain"][0]["encryption"] == ("luks" if method == "luks" else "aes")


def test_without_it_the_header_is_shown_and_the_image_can_be_backed_up(
    image: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    guard.watch(image)
    shown = program("inspect", "--json", image)
    assert shown.status == Exit.REFUSED
    assert "--passphrase-file" in shown.err
    assert json.loads(shown.out)["disk"]["virtual_size"] == SIZE
    assert program("backup", image, tmp_path / "copy.qcow2").status == 0
    assert (tmp_path / "copy.qcow2").read_bytes() == image.read_bytes()


def test_a_wrong_one_is_said(image: Path, tmp_path: Path, program: Program, guard: Guard) -> None:
    refused = program("ls", "--passphrase-file", _key(tmp_path, "wrong"), image, "disk")
    assert refused.status == Exit.REFUSED
    assert "not the passphrase" in refused.err
    old = encrypted_image(tmp_path, "aes")
    noise = program("inspect", "--passphrase-file", _key(tmp_path, "wrong"), old)
    assert "No partition table" in noise.out
    assert "noise" in noise.out


def test_a_descriptor_and_standard_input_give_it_too(image: Path, state_dir: Path) -> None:
    base = [
        sys.executable,
        "-m",
        "tui.main",
        "--state-dir",
        str(state_dir),
        "cat",
        str(image),
        "disk",
        "/letter",
    ]
    for option in (["--passphrase-fd", "0"], ["--passphrase-file", "-"]):
        done = subprocess.run([*base, *option], input=WORD.encode(), capture_output=True)
        assert done.stdout == b"secret\n", done.stderr


def test_each_link_of_a_chain_has_its_own(
    image: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    upper = encrypted_image(tmp_path, "luks", word="another", below=image.name)
    keys: list[str | Path] = [
        "--passphrase-file",
        _key(tmp_path),
        "--passphrase-file",
        _key(tmp_path, "another"),
    ]
    assert program("cat", *keys, upper, "disk", "/letter").out == "secret\n"
    refused = program("cat", *keys[:2], upper, "disk", "/letter")
    assert refused.status == Exit.REFUSED
    assert upper.name in refused.err


def test_a_snapshot_of_an_encrypted_disk_and_its_conversion(
    image: Path, made: Path, tmp_path: Path, program: Program, guard: Guard
) -> None:
    secret = ["--object", f"secret,id=s,data={WORD}"]
    opened = f"driver=qcow2,encrypt.key-secret=s,file.filename={image}"
    subprocess.run(["qemu-img", "snapshot", *secret, "--image-opts", "-c", "one", opened], check=True)
    dest = tmp_path / "plain.raw"
    key = ["--passphrase-file", _key(tmp_path)]
    done = program("convert", *key, "--snapshot", "one", image, dest, "--to", "raw")
    assert done.status == 0, done.err
    assert dest.read_bytes() == (made.parent / "content.raw").read_bytes()
    assert program("status").out.startswith("Nothing")
    assert program("convert", *key, "--dry-run", image, dest.with_suffix(".x"), "--to", "raw").status == 0


def _everywhere(state: Path) -> bytes:
    """What others could read while the disk is open: arguments and environments, and the state folder."""
    found = b""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    found += (process / name).read_bytes()
                except OSError:
                    continue
    return found + b"".join(one.read_bytes() for one in state.rglob("*") if _is_plain(one))


def _is_plain(path: Path) -> bool:
    return path.is_file() and path.suffix != ".raw"


def test_it_shows_up_nowhere(image: Path, state_dir: Path, guard: Guard) -> None:
    runner = SystemRunner()
    with Session(StateFolder(state_dir), runner) as session:
        session.select(str(image))
        with pytest.raises(NeedsPassphrase) as caught:
            session.view()
        assert caught.value.path == image
        with pytest.raises(NeedsPassphrase) as caught:
            session.unlock(image, Secret(b"hush-wrong"))
        assert caught.value.again
        session.unlock(image, Secret.typed(WORD))
        session.view()
        seen = _everywhere(state_dir)
        assert str(state_dir).encode() in seen  # it looked at the daemons
        assert b"hush-" not in seen
        log = session.folder / "s0.log"
        assert b"hush" not in log.read_bytes()
    told = "\n".join(one.command.shell() + repr(one.result) for one in runner.transcript)
    assert "qemu-nbd" in told
    assert "hush-" not in told + repr(vars(session))


def _dialogue(argv: list[str], answers: list[bytes]) -> tuple[int, bytes]:
    """Run a program on a terminal of its own and type an answer at each question."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    said, asked, end = b"", 0, time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                said += os.read(master, 4096)
            except OSError:
                break
        while said.count(b"Type the passphrase of") > asked and asked < len(answers):
            os.write(master, answers[asked])
            asked += 1
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def test_the_terminal_is_asked_three_times_and_does_not_show_it(
    image: Path, state_dir: Path, guard: Guard
) -> None:
    argv = [
        sys.executable,
        "-m",
        "tui.main",
        "--state-dir",
        str(state_dir),
        "cat",
        str(image),
        "disk",
        "/letter",
    ]
    status, said = _dialogue(argv, [b"wrong\n", WORD.encode() + b"\n"])
    assert status == 0, said
    assert b"not the passphrase" in said
    assert said.rstrip().endswith(b"secret")
    assert b"hush" not in said
    status, said = _dialogue(argv, [b"wrong\n"] * 3)
    assert status == Exit.REFUSED
    assert said.count(b"Type the passphrase of") == 3
    status, said = _dialogue(argv, [b"\x03"])
    assert status == Exit.INTERRUPTED
