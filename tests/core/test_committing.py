"""Committing an overlay, the one write to an original: shown, asked, backed up, written and proved."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.committing import Commit
from core.disks.overlay import SPENT
from core.errors import NoSpace, Refused
from core.files.progress import Progress
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from tests.conftest import Called, Guard, needs_root

pytestmark = needs_root

SIZE = 16 << 20
START = 1 << 20
_ROOT = Path(__file__).parents[2]

Run = Callable[..., Called]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _raw(path: Path, *, table: bool = False) -> Path:
    """A raw disk with ext4, on the whole of it or behind a partition table."""
    tree = path.with_name("tree")
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    (tree / "etc" / "gone").write_text("soon\n")
    (tree / "etc" / "still").write_text("here\n")
    with open(path, "wb") as file:
        file.truncate(SIZE)
    options = ["-E", f"offset={START}"] if table else []
    blocks = f"{(SIZE - START if table else SIZE) >> 10}k"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *options, "-d", tree, path, blocks], check=True)
    if table:
        subprocess.run(["sfdisk", "-q", path], input=b"2048,,L\n", check=True, capture_output=True)
    subprocess.run(["rm", "-r", tree], check=True)
    return path


def _image(folder: Path, kind: str) -> Path:
    """A disk of one kind; `chain` is a qcow2 over a qcow2."""
    folder.mkdir()
    raw = _raw(folder / "web01.raw", table=kind == "raw")
    if kind == "raw":
        return raw
    format = "qcow2" if kind == "chain" else kind
    name = "base.qcow2" if kind == "chain" else f"web01.{kind}"
    subprocess.run(["qemu-img", "convert", "-O", format, raw, folder / name], check=True)
    raw.unlink()
    if kind != "chain":
        return folder / name
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", "web01.qcow2"]
    subprocess.run(create, cwd=folder, check=True)
    return folder / "web01.qcow2"


def _mounted(disk: Path, state: Path, point: Path, *, work: bool = True) -> str:
    """A writable mount, left up, in which some files were changed; its session."""
    session = Session(StateFolder(state), SystemRunner(), private=False)
    session._tied = False
    session.select(str(disk))
    session.protect(overlay=True)
    volume = session.inspect().volumes[0].id
    session.open(volume, point)
    if work:
        (point / "etc" / "hosts").write_text("10.0.0.1 saved\n")
        (point / "etc" / "gone").unlink()
        (point / "etc" / "new\x1b[31m").write_text("new\n")
        (point / "etc" / "still").chmod(0o600)
    session.keep()
    session.close()
    return session.id


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def run(state: Path, guard: Guard) -> Iterator[Run]:
    """Calls the real program with what is typed; at the end nothing may be up."""

    def call(*words: str | Path, typed: str = "", program: tuple[str, ...] = ("-m", "tui.main")) -> Called:
        done = subprocess.run(
            [sys.executable, *program, "--state-dir", state, *map(str, words)],
            input=typed.encode(),
            capture_output=True,
            cwd=_ROOT,
            timeout=120,
        )
        out, err = os.fsdecode(done.stdout), os.fsdecode(done.stderr)
        assert "Traceback" not in err and "mistake in virt-salvage" not in err, err
        return Called(done.returncode, out, err)

    yield call
    for known in StateFolder(state).known():
        StateFolder(state).undo(known, SystemRunner())


def _seen(disk: Path, tmp_path: Path) -> dict[str, str]:
    """The files in /etc of the disk as it is now, with their content."""
    with Session(StateFolder(tmp_path / "looking"), SystemRunner()) as session:
        session.select(str(disk))
        session.open(session.inspect().volumes[0].id)
        with session.guest() as tree:
            return {
                os.fsdecode(one.name): b"".join(tree.read(b"/etc/" + one.name)).decode()
                for one in tree.entries("/etc")
            }


BEFORE = {"hosts": "127.0.0.1 localhost\n", "gone": "soon\n", "still": "here\n"}
AFTER = {"hosts": "10.0.0.1 saved\n", "new\x1b[31m": "new\n", "still": "here\n"}


@pytest.mark.parametrize("kind", ["raw", "qcow2", "vmdk", "chain"])
def test_shown_asked_backed_up_written_and_verified(
    tmp_path: Path, state: Path, run: Run, guard: Guard, kind: str
) -> None:
    disk = _image(tmp_path / "vm", kind)
    before = _digest(disk)
    guard.watch(*(path for path in disk.parent.iterdir() if path != disk))
    session = _mounted(disk, state, tmp_path / "m")
    done = run("commit", session, "--json", typed=f"{disk.name}\n")
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told["verified"] is True
    changes = told["changes"]
    assert (changes["added"], changes["removed"], changes["changed"]) == (1, 1, 2)
    assert [(one["how"], one["what"]) for one in changes["first"]] == [
        ("removed", ""),
        ("changed", "content"),
        ("added", ""),
        ("changed", "mode"),
    ]
    assert changes["outside"] == 0
    assert "It is on the same medium as the disk" in done.err
    assert "added: /etc/new\\x1b[31m" in done.err and "\x1b" not in done.err
    backup = Path(told["backup"][0])
    assert ".before-commit-" in str(backup) and _digest(backup) == before
    assert _seen(disk, tmp_path) == AFTER
    assert "Nothing of ours" in run("status").out
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(("typed", "words"), [("", ("--yes",)), ("web01\n", ())])
def test_nothing_is_written_unless_the_name_is_typed(
    tmp_path: Path, state: Path, run: Run, guard: Guard, typed: str, words: tuple[str, ...]
) -> None:
    disk = _image(tmp_path / "vm", "qcow2")
    guard.watch(disk)
    session = _mounted(disk, state, tmp_path / "m")
    refused = run("commit", session, *words, typed=typed)
    assert refused.status == 3
    assert "the overlay is kept" in refused.err
    assert [path.name for path in disk.parent.iterdir()] == ["web01.qcow2"]
    assert "overlay" in run("status").out
    assert run("undo", session).status == 0


def test_a_dry_run_shows_the_changes_and_leaves_the_mount(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    disk = _image(tmp_path / "vm", "qcow2")
    guard.watch(disk)
    session = _mounted(disk, state, tmp_path / "m")
    done = run("commit", session, "--dry-run")
    assert done.status == 0, done.err
    assert "changed: /etc/hosts (content)" in done.err
    assert "files added: 1, removed: 1, changed: 2." in done.err
    words = [line.split()[0] for line in done.out.splitlines()]
    assert words == ["umount", "sh", "losetup", "rmdir", "kill", "cp", "qemu-img", "sync", "qemu-img", "rm"]
    assert (tmp_path / "m" / "etc" / "hosts").read_text() == AFTER["hosts"]


def test_who_only_reads_the_disk_is_in_the_way_too(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    disk = _image(tmp_path / "vm", "raw")
    guard.watch(disk)
    session = _mounted(disk, state, tmp_path / "m")
    with open(disk, "rb"):
        refused = run("commit", session, typed="web01.raw\n")
    assert refused.status == 3
    assert f"pid {os.getpid()}) has this disk open" in refused.err


def test_who_is_in_the_mount_keeps_it_up_and_nothing_is_written(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    disk = _image(tmp_path / "vm", "qcow2")
    guard.watch(disk)
    session = _mounted(disk, state, tmp_path / "m")
    with open(tmp_path / "m" / "etc" / "still"):
        refused = run("commit", session, typed="web01.qcow2\n")
        assert (refused.status, "is still up" in refused.err) == (3, True)
        assert (tmp_path / "m" / "etc" / "still").exists()


def _commit(state: Path, session: str) -> Commit:
    folder = StateFolder(state)
    return Commit(folder, SystemRunner(), folder.find(session))


def test_what_stands_on_the_disk_would_be_worth_nothing(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    disk = _image(tmp_path / "vm", "qcow2")
    first = _mounted(disk, state, tmp_path / "m")
    child = disk.with_name("snapshot.qcow2")
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk.name, child.name]
    subprocess.run(create, cwd=disk.parent, check=True)
    guard.watch(disk, child)
    with _commit(state, first) as work:
        work.take_down()
        with pytest.raises(Refused, match=r"snapshot.* holds only what differs"):
            work.require_ready()
        child.rename(tmp_path / "elsewhere.qcow2")
        guard.originals.pop(child)
        work.require_ready()
    second = _mounted(disk, state, tmp_path / "m2", work=False)
    with _commit(state, second) as work:
        work.take_down()
        with pytest.raises(Refused, match=f"Session {first} has an overlay over the same disk"):
            work.require_ready()


def test_a_disk_that_was_written_since_is_not_committed_to(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    disk = _image(tmp_path / "vm", "raw")
    session = _mounted(disk, state, tmp_path / "m")
    with open(disk, "r+b") as file:
        file.seek(SIZE - 512)
        file.write(b"somebody else's")
    guard.watch(disk)
    refused = run("commit", session, typed="web01.raw\n")
    assert refused.status == 3
    assert "not as it was when the overlay was made" in refused.err


def test_a_disk_that_was_cut_short_is_not_made_longer(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    disk = _image(tmp_path / "vm", "raw")
    os.truncate(disk, SIZE - (2 << 20))
    guard.watch(disk)
    session = _mounted(disk, state, tmp_path / "m", work=False)
    refused = run("commit", session, typed="web01.raw\n")
    assert refused.status == 3
    assert "cut short" in refused.err


def test_without_room_for_the_backup_nothing_is_written(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    disk = _image(tmp_path / "vm", "qcow2")
    guard.watch(disk)
    session = _mounted(disk, state, tmp_path / "m")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SPENT >> 2}", "small", small], check=True)
    try:
        refused = run("commit", session, "--backup", small / "copy", typed="web01.qcow2\n")
        assert refused.status == NoSpace.status, refused.err
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)
    assert "half" not in json.dumps(
        json.loads(run("status", "--json").out)["sessions"][0].get("half_written", "")
    )


def test_a_block_device_is_written_and_its_backup_wants_a_place(
    tmp_path: Path, state: Path, run: Run, guard: Guard
) -> None:
    image = _image(tmp_path / "vm", "raw")
    before = _digest(image)
    made = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    loop = Path(made.stdout.strip())
    try:
        session = _mounted(loop, state, tmp_path / "m")
        refused = run("commit", session, typed=f"{loop.name}\n")
        assert (refused.status, "--backup DEST" in refused.err) == (3, True)
        done = run("commit", session, "--backup", tmp_path / "old.raw", typed=f"{loop.name}\n")
        assert done.status == 0, done.err
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
    assert _digest(tmp_path / "old.raw") == before
    assert _seen(image, tmp_path) == AFTER


def test_a_session_without_an_overlay_has_nothing_to_commit(tmp_path: Path, state: Path, run: Run) -> None:
    disk = _image(tmp_path / "vm", "qcow2")
    with Session(StateFolder(state), SystemRunner(), private=False) as session:
        session.select(str(disk))
        session.open("disk", tmp_path / "m")
        refused = run("commit", session.id, typed="web01.qcow2\n")
    assert (refused.status, "has no overlay" in refused.err) == (3, True)
    assert run("commit", "no-such-session").status == 2


# -- cut off ------------------------------------------------------------------------------------------------

_CRASH = """
import os, signal, sys
import core.committing as committing
from core.comparing import Changes
from core.runner import SystemRunner
from core.undo.journal import Journal
event, moment, step = sys.argv[1:4]
committing.changes = lambda *_: Changes(0, 0, 0, 0, (), (), 0, 1)
append, run = Journal.append, SystemRunner.run
def die(): os.kill(os.getpid(), signal.SIGKILL)
def appended(self, name, **values):
    if (name, moment) == (event, "before"): die()
    append(self, name, **values)
    if (name, moment) == (event, "after"): die()
def ran(self, command, *words, **named):
    hit = command.argv[:2] == ("qemu-img", step)
    if hit and moment == "before": die()
    if hit and moment == "half":
        disk = os.environ["HALF"]
        with open(disk, "r+b") as file:
            file.seek(%d); file.write(b"half of a write" * 1000); os.fsync(file.fileno())
        die()
    result = run(self, command, *words, **named)
    if hit and moment == "after": die()
    return result
Journal.append, SystemRunner.run = appended, ran
from tui.main import main
sys.exit(main(sys.argv[4:]))
"""


def _crash(state: Path, session: str, disk: Path, event: str, moment: str, step: str) -> None:
    """Commit in a program that is killed at one step."""
    extent = _extent(state, session) if moment == "half" else 0
    done = subprocess.run(
        [sys.executable, "-c", _CRASH % extent, event, moment, step, "--state-dir", state, "commit", session],
        input=f"{disk.name}\n".encode(),
        env={**os.environ, "HALF": str(disk)},
        cwd=_ROOT,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == -9, done.stderr


def _extent(state: Path, session: str) -> int:
    """A byte of the disk that the overlay holds."""
    with _commit(state, session) as work:
        work.take_down()
        return work.extents[-1][0]


@pytest.mark.parametrize(
    ("event", "moment", "step"),
    [
        ("committing", "after", ""),
        ("", "half", "commit"),
        ("committed", "before", ""),
    ],
)
def test_cut_off_in_the_midst_it_is_told_and_goes_on(
    tmp_path: Path, state: Path, run: Run, guard: Guard, event: str, moment: str, step: str
) -> None:
    disk = _image(tmp_path / "vm", "raw")
    before = _digest(disk)
    session = _mounted(disk, state, tmp_path / "m")
    _crash(state, session, disk, event, moment, step)
    backup = next(path for path in disk.parent.glob("*.before-commit-*") if path.suffix != ".sha256")
    if moment == "half":
        status = run("status")
        assert "The disk holds a part of this overlay's changes" in status.out
        assert str(backup) in status.out and f"virt-salvage commit {session}" in status.out
        refused = run("undo", session, "--yes")
        assert refused.status == 1
        assert "holds a part of this overlay's changes" in refused.err
    done = run("commit", session, typed="web01.raw\n")
    assert done.status == 0, done.err
    assert _seen(disk, tmp_path) == AFTER
    assert _digest(backup) == before
    assert "Nothing of ours" in run("status").out


@pytest.mark.parametrize(
    ("event", "moment", "step"),
    [("committing", "before", ""), ("committed", "after", "")],
)
def test_cut_off_before_or_after_the_writing_nothing_is_half(
    tmp_path: Path, state: Path, run: Run, guard: Guard, event: str, moment: str, step: str
) -> None:
    disk = _image(tmp_path / "vm", "raw")
    session = _mounted(disk, state, tmp_path / "m")
    _crash(state, session, disk, event, moment, step)
    assert not StateFolder(state).find(session).account.half
    assert run("undo", session).status == 0
    assert _seen(disk, tmp_path) == (BEFORE if event == "committing" else AFTER)


def test_a_commit_that_was_cut_off_can_be_given_up(tmp_path: Path, state: Path, run: Run) -> None:
    disk = _image(tmp_path / "vm", "raw")
    session = _mounted(disk, state, tmp_path / "m")
    _crash(state, session, disk, "", "half", "commit")
    assert run("commit", session, "--abandon", typed="no\n").status == 3
    assert run("commit", session, "--abandon", typed="web01.raw\n").status == 0
    assert run("undo", session).status == 0


@pytest.mark.usefixtures("run")
def test_each_part_is_told_by_its_name_and_from_its_beginning(tmp_path: Path, state: Path) -> None:
    """Of 16 MiB, of which the overlay holds few: no total that grows, and no rate of what is not counted."""
    disk = _image(tmp_path / "disk", "raw")
    session = _mounted(disk, state, tmp_path / "mount")
    told: list[Progress] = []
    with _commit(state, session) as work:
        work.take_down()
        work.require_ready()
        held = sum(end - start for start, end in work.extents)
        done = work.write(work.name, work.back_up(None, told.append), told.append)
    assert done.bytes == held
    totals = {one.phase: one.bytes_total for one in told}
    assert totals == {
        "Backing the disk up": SIZE,
        "Writing into the disk": held,
        "Comparing it with what was seen before": SIZE,
    }
    for phase, total in totals.items():
        assert {one.bytes_total for one in told if one.phase == phase} == {total}
        assert [one for one in told if one.phase == phase][-1].fraction == 1
    assert all(one.rate is None for one in told if not one.phase.startswith("Backing"))
