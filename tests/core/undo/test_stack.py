"""The undo stack on real loops and mounts: what is ours goes, what is not stays."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core import host, loops, mounts
from core.command import Command
from core.errors import SalvageError
from core.runner import CommandFailed, SystemRunner
from core.undo.journal import NAME
from core.undo.pairs import FileKind, LoopKind, MountKind, Pair
from core.undo.stack import Stack
from core.undo.state import StateFolder
from core.volumes.loop import in_small_pieces
from tests.conftest import Guard, needs_root

pytestmark = needs_root


@pytest.fixture
def image(tmp_path: Path, guard: Guard) -> Path:
    path = tmp_path / "disk.raw"
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", path], check=True)
    guard.watch(path)
    return path


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.fixture
def stack(state: StateFolder, image: Path) -> Iterator[Stack]:
    journal = state.begin(state.new_folder(), str(image))
    stack = Stack(journal, SystemRunner())
    yield stack
    journal.close()


def _attach(stack: Stack, image: Path) -> str:
    size = image.stat().st_size
    argv = (
        "losetup",
        "--find",
        "--show",
        "--read-only",
        "--offset",
        "0",
        "--sizelimit",
        str(size),
        str(image),
    )
    command = Command(argv, why="w", effect="e", captures="LOOP")
    return stack.put_up(Pair("loop", command, "", facts=lambda: LoopKind.facts(image, 0, size)))


def _mount(stack: Stack, loop: str, point: Path) -> None:
    point.mkdir(exist_ok=True)
    command = Command(("mount", "-t", "ext4", "-o", "ro,noload", loop, str(point)), why="w", effect="e")
    pair = Pair("mount", command, str(point), (loop, str(point)), lambda: MountKind.facts(point, loop))
    stack.put_up(pair)


def test_up_and_down_in_order(stack: Stack, image: Path, tmp_path: Path) -> None:
    loop = _attach(stack, image)
    _mount(stack, loop, tmp_path / "m")
    assert (tmp_path / "m/lost+found").is_dir()
    assert [entry.what for entry in stack.standing] == ["mount", "loop"]
    releases = stack.release_to()
    assert [(one.entry.what, one.released) for one in releases] == [("mount", True), ("loop", True)]
    assert not mounts.at(tmp_path / "m")
    assert loops.loop(loop) is None


def test_a_failing_command_leaves_nothing(stack: Stack, image: Path, tmp_path: Path) -> None:
    loop = _attach(stack, image)
    point = tmp_path / "m"
    point.mkdir()
    command = Command(("mount", "-t", "xfs", "-o", "ro", loop, str(point)), why="w", effect="e")
    with pytest.raises(CommandFailed):
        stack.put_up(Pair("mount", command, str(point), (loop,), lambda: MountKind.facts(point, loop)))
    assert [entry.what for entry in stack.standing] == ["loop"]
    assert all(release.released for release in stack.release_to())


def test_a_loop_taken_down_by_somebody_counts_as_released(stack: Stack, image: Path) -> None:
    loop = _attach(stack, image)
    subprocess.run(["losetup", "--detach", loop], check=True)
    [release] = stack.release_to()
    assert release.released
    assert "already gone" in release.note


def _given_away(loop: str, image: Path, *options: str) -> None:
    """Detach it, and let somebody else attach a file by its number."""
    subprocess.run(["losetup", "--detach", loop], check=True)
    if subprocess.run(["losetup", "--read-only", *options, loop, image], check=False).returncode:
        pytest.skip("another test was given that loop device meanwhile")


@pytest.mark.hostile(52)
def test_a_loop_number_that_somebody_else_uses_now_stays(stack: Stack, image: Path, tmp_path: Path) -> None:
    loop = _attach(stack, image)
    # the very same file and offset: only the kernel's sequence number tells the two apart
    _given_away(loop, image, "--sizelimit", str(image.stat().st_size))
    try:
        [release] = stack.release_to()
        assert release.released
        assert loops.loop(loop) is not None
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


@pytest.mark.hostile(52)
@pytest.mark.parametrize(("before", "taken"), [("1280", False), ("1280", True), ("64", False)])
def test_the_size_of_requests_goes_back_unless_somebody_else_has_the_loop(
    stack: Stack, image: Path, before: str, taken: bool
) -> None:
    """Also where a session before it, whose loop was taken, had to leave it small."""
    loop = _attach(stack, image)
    size = Path("/sys/block", loop.removeprefix("/dev/"), "queue/max_sectors_kb")
    found = size.read_text()
    try:
        size.write_text(before)
        in_small_pieces(stack, loop)
        small = size.read_text()
        if taken:
            _given_away(loop, image)
        assert all(release.released for release in stack.release_to())
        assert small == "64\n"
        assert size.read_text() == (small if taken else "1280\n")
    finally:
        one = loops.loop(loop)
        if one and one.backing == str(image):
            size.write_text(found)
            subprocess.run(["losetup", "--detach", loop], check=True)


@pytest.mark.hostile(55)
def test_a_mount_over_ours_stays_and_ours_is_kept(stack: Stack, image: Path, tmp_path: Path) -> None:
    loop = _attach(stack, image)
    _mount(stack, loop, tmp_path / "m")
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "m"], check=True)
    releases = stack.release_to()
    assert [one.released for one in releases] == [False, False]
    assert mounts.at(tmp_path / "m")[-1].type == "tmpfs"
    assert "stands on it" in releases[1].note
    subprocess.run(["umount", tmp_path / "m"], check=True)
    assert all(release.released for release in stack.release_to())


@pytest.mark.hostile(54)
def test_a_busy_mount_names_its_holder(stack: Stack, image: Path, tmp_path: Path) -> None:
    loop = _attach(stack, image)
    _mount(stack, loop, tmp_path / "m")
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "m") as holder:
        releases = stack.release_to()
        assert [one.released for one in releases] == [False, False]
        assert f"sleep (pid {holder.pid}" in releases[0].note
        assert loops.loop(loop) is not None
        holder.kill()
    assert all(release.released for release in stack.release_to())


def test_a_folder_somebody_put_a_file_in_stays(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    make = Command(("mkdir", str(folder)), why="w", effect="e")
    stack.put_up(Pair("file", make, str(folder), facts=lambda: FileKind.facts(folder)))
    (folder / "theirs").write_text("x")
    [release] = stack.release_to()
    assert release.released
    assert (folder / "theirs").exists()


@pytest.mark.hostile(53)
def test_another_boot_forgets_loops_but_not_files(
    stack: Stack, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = tmp_path / "overlay"
    make = Command(("touch", str(overlay)), why="w", effect="e")
    stack.put_up(Pair("overlay", make, str(overlay), facts=lambda: FileKind.facts(overlay)))
    loop = _attach(stack, image)
    monkeypatch.setattr(host, "boot_id", lambda: "another")
    assert all(release.released for release in stack.release_to())
    assert not overlay.exists()
    assert loops.loop(loop) is not None, "after a reboot a loop of that number is somebody else's"
    subprocess.run(["losetup", "--detach", loop], check=True)


@pytest.mark.hostile(50)
def test_an_intent_without_a_result_is_found_again(state: StateFolder, image: Path) -> None:
    journal = state.begin(state.new_folder(), str(image))
    stack = Stack(journal, SystemRunner())
    loop = _attach(stack, image)
    lines = (journal.path).read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join(line for line in lines if b'"done"' not in line))
    journal.close()
    [known] = state.leftovers()
    assert [entry.state for entry in known.account.standing] == ["intended"]
    [release] = state.undo(known, SystemRunner())
    assert release.released
    assert loops.loop(loop) is None
    assert state.known() == []
    assert not (state.path / "sessions" / known.account.session).exists()


@pytest.mark.hostile(52)
def test_an_intent_that_was_never_carried_out_touches_nobody(state: StateFolder, image: Path) -> None:
    journal = state.begin(state.new_folder(), str(image))
    size = image.stat().st_size
    theirs = subprocess.run(
        ["losetup", "--find", "--show", "--read-only", "--sizelimit", str(size), image],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    try:
        facts = LoopKind.facts(image, 0, size)
        journal.append("intent", n=1, what="loop", target="", on=[], why="w", do="d", undo=[], facts=facts)
        journal.close()
        [known] = state.leftovers()
        assert all(release.released for release in state.undo(known, SystemRunner()))
        assert loops.loop(theirs) is not None
    finally:
        subprocess.run(["losetup", "--detach", theirs], check=True)


@pytest.mark.hostile(56)
def test_a_living_session_is_not_undone(state: StateFolder, image: Path) -> None:
    journal = state.begin(state.new_folder(), str(image))
    stack = Stack(journal, SystemRunner())
    loop = _attach(stack, image)
    [known] = state.known()
    assert known.alive
    with pytest.raises(SalvageError, match="at work"):
        state.undo(replace(known, alive=False), SystemRunner())
    assert loops.loop(loop) is not None
    assert all(release.released for release in stack.release_to())
    state.forget(journal)
    journal.close()
    assert os.listdir(state.path / "sessions") == []


def test_nothing_is_removed_while_a_mount_is_inside(state: StateFolder, image: Path) -> None:
    folder = state.new_folder()
    journal = state.begin(folder, str(image))
    stack = Stack(journal, SystemRunner())
    loop = _attach(stack, image)
    _mount(stack, loop, folder / "tree")
    state.forget(journal)
    assert (folder / NAME).exists()
    assert (folder / "tree/lost+found").is_dir()
    assert all(release.released for release in stack.release_to())
    state.forget(journal)
    journal.close()
    assert not folder.exists()
