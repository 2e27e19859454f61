"""The health of file systems: as they lie, with the journal replayed, repaired; never on the disk."""

import json
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from core.checking import Differences, examine
from core.errors import SalvageError
from core.runner import SystemRunner
from core.tables.content import Content, probe
from core.volumes.checkers import Verdict, check
from core.volumes.model import of_disk
from core.volumes.state import State
from tests.conftest import Called, Guard, Program, needs_root
from tests.core.volumes.damaged_btrfs import damaged_btrfs
from tests.hostile.test_filesystems import dirty
from tests.hostile.volumes import MAKERS, filled

pytestmark = needs_root

FILES = [f"file{number}" for number in range(20)]
"""What `dirty` leaves in the journal only."""


@pytest.fixture(scope="module", params=sorted(MAKERS))
def crashed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dirty(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(params=sorted(MAKERS))
def healthy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return filled(tmp_path / "disk.raw", request.param)


def damaged(path: Path) -> Path:
    """An ext4 with a file that no folder names any more, and counts that are wrong."""
    tree = path.with_suffix(".tree")
    (tree / "letters").mkdir(parents=True)
    (tree / "letters/one").write_text("first\n")
    (tree / "two").write_text("second\n")
    path.write_bytes(b"")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, path, "16M"], check=True, capture_output=True)
    subprocess.run(["debugfs", "-w", "-R", "unlink letters", path], check=True, capture_output=True)
    return path


def checked(told: Called) -> dict[str, object]:
    document: dict[str, object] = json.loads(told.out)
    return document


def test_a_file_system_that_was_unmounted_has_nothing_pending(healthy: Path) -> None:
    found = probe(healthy, 0, None, SystemRunner())
    assert found.content
    assert not found.pending


def test_where_nothing_was_recognised_no_proof_is_promised() -> None:
    nothing = of_disk(1 << 20, Content(None, problems=("Half of it is not here.",)))
    told = check(SystemRunner(), replace(nothing, elsewhere=True), "/dev/null", State.LEFT)
    assert told.verdict is Verdict.UNKNOWN
    assert told.sentence == (
        "Nothing that could be checked was recognised on the whole disk. Half of it is not here."
    )


def test_a_repair_after_which_it_cannot_be_mounted_keeps_the_verdicts() -> None:
    told = check(SystemRunner(), of_disk(1 << 20, Content(None)), "/dev/null", State.LEFT)

    def opened(_session: Any, state: State) -> NoReturn:
        raise SalvageError(f"It is not mounted as {state.value}.")

    session: Any = SimpleNamespace(
        runner=SimpleNamespace(cancel=None), beside=lambda: nullcontext(None), close_tree=list
    )
    found = examine(session, lambda _state: told, opened, State.REPAIRED)
    assert (found.lies, found.after) == (told, told)
    assert found.differences and "It is not mounted as repaired." in found.differences.summary()


def test_what_could_not_be_looked_at_is_told_with_the_differences() -> None:
    told = Differences(State.REPAIRED, 0, 0, 0, 1, ()).lines()
    assert "the same" in told[0] and told[-1] == "Entries that could not be looked at: 1."


def test_a_sound_file_system_is_called_sound(healthy: Path, program: Program, guard: Guard) -> None:
    guard.watch(healthy)
    told = program("check", "--format", "raw", healthy, "disk")
    assert told.status == 0, told
    assert "found nothing wrong." in told.out
    assert "unmounted" not in told.out
    told = program("check", "--json", "--format", "raw", healthy, "disk")
    assert checked(told)["verdict"] == "sound"


def test_a_crash_is_told_and_what_its_journal_holds(crashed: Path, program: Program, guard: Guard) -> None:
    guard.watch(crashed)
    seen = program("inspect", "--json", "--format", "raw", crashed)
    volume = json.loads(seen.out)["volumes"][0]
    assert volume["pending"]
    assert any("--replay" in problem for problem in volume["problems"])
    told = program("check", "--json", "--format", "raw", crashed, "disk")
    assert (told.status, checked(told)["verdict"]) == (4, "pending"), told
    told = program("check", "--json", "--replay", "--format", "raw", crashed, "disk")
    assert told.status == 0, told
    document = json.loads(told.out)
    assert document["after"]["verdict"] == "sound"
    changed = document["differences"]
    assert changed["compared"]
    names = {change["path"].lstrip("/") for change in changed["first"] if change["how"] == "added"}
    assert names
    assert names <= set(FILES)


def test_what_is_only_in_the_journal_is_copied_when_it_is_carried_out(
    crashed: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(crashed)
    told = program("copy", "--format", "raw", crashed, "disk", "/", tmp_path / "left")
    assert told.status == 0, told
    assert "was not unmounted" in told.err
    assert "was not unmounted" in (tmp_path / "left/salvage-report.md").read_text()
    assert not all((tmp_path / "left" / name).exists() for name in FILES)
    told = program("copy", "--replay", "--format", "raw", crashed, "disk", "/", tmp_path / "replayed")
    assert told.status == 0, told
    assert "was not unmounted" not in told.err
    assert all((tmp_path / "replayed" / name).read_bytes() == b"x" * 5000 for name in FILES)
    assert json.loads((tmp_path / "replayed/salvage-report.json").read_text())["state"] == "replayed"


def test_a_clean_volume_over_an_overlay_is_not_told_as_replayed(
    healthy: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    """An overlay may be wanted for what lies below, as the cache of a logical volume."""
    guard.watch(healthy)
    told = program("copy", "--replay", "--format", "raw", healthy, "disk", "/", tmp_path / "out")
    assert told.status == 0, told
    assert json.loads((tmp_path / "out/salvage-report.json").read_text())["state"] == "overlay"
    assert "where nothing had to be replayed" in (tmp_path / "out/salvage-report.md").read_text()
    told = program("check", "--replay", "--format", "raw", healthy, "disk")
    assert "Over an overlay: " in told.out, told
    assert "journal replayed" not in told.out


def test_a_mount_with_the_journal_carried_out_is_read_only_and_goes(
    crashed: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(crashed)
    told = program("mount", "--replay", "--format", "raw", crashed, "disk", tmp_path / "m")
    assert told.status == 0, told
    assert sorted(path.name for path in (tmp_path / "m").glob("file*")) == sorted(FILES)
    with pytest.raises(OSError, match="Read-only"):
        (tmp_path / "m/new").write_text("")
    assert program("undo", "--all").status == 0


def test_damage_is_told_and_repaired_in_an_overlay_only(
    program: Program, tmp_path: Path, guard: Guard
) -> None:
    disk = damaged(tmp_path / "disk.raw")
    guard.watch(disk)
    told = program("check", "--format", "raw", disk, "disk")
    assert told.status == 4, told
    assert "The file system is damaged: e2fsck found errors." in told.out
    told = program("check", "--repair", "--format", "raw", disk, "disk")
    assert told.status == 0, told
    assert "Repaired in an overlay: e2fsck found nothing wrong." in told.out
    added = [line for line in told.out.splitlines() if line.startswith("  added: /lost+found/")]
    assert any(line.endswith("/one") for line in added), told.out
    told = program("copy", "--repair", "--format", "raw", disk, "disk", "/", tmp_path / "out")
    assert told.status == 0, told
    assert [path.read_text() for path in (tmp_path / "out/lost+found").rglob("one")] == ["first\n"]
    assert (tmp_path / "out/two").read_text() == "second\n"


def test_a_repair_that_is_not_enough_is_told_with_what_was_found(
    program: Program, tmp_path: Path, guard: Guard
) -> None:
    """A btrfs whose tree of checksums is damaged: `btrfs check --repair` leaves that as it is."""
    disk, tree = tmp_path / "disk.raw", tmp_path / "tree"
    tree.mkdir()
    (tree / "photo").write_bytes(bytes(range(256)) * 400)
    damaged_btrfs(disk, tree)
    guard.watch(disk)
    told = program("check", "--repair", "--format", "raw", disk, "disk")
    assert told.status == 4, told
    assert "After the repair in an overlay: The file system is damaged: btrfs found errors." in told.out
    assert "The files are the same as they lie on the disk." in told.out
    told = program("copy", "--repair", "--format", "raw", disk, "disk", "/", tmp_path / "out")
    assert told.status == 4 and "passing over its damaged parts" in told.err, told
    assert (tmp_path / "out/photo").read_bytes() == (tree / "photo").read_bytes()


def test_a_repaired_volume_can_be_written_on_with_a_writable_mount(
    program: Program, tmp_path: Path, guard: Guard
) -> None:
    disk = damaged(tmp_path / "disk.raw")
    guard.watch(disk)
    told = program("mount", "--writable", "--repair", "--format", "raw", disk, "disk", tmp_path / "m")
    assert told.status == 0, told
    assert list((tmp_path / "m/lost+found").rglob("one"))
    (tmp_path / "m/new").write_text("in the overlay")
    assert program("undo", "--all").status == 0


@pytest.mark.parametrize("option", ["--replay", "--repair"])
def test_the_dry_run_tells_the_overlay_and_changes_nothing(
    option: str, program: Program, tmp_path: Path, guard: Guard
) -> None:
    disk = damaged(tmp_path / "disk.raw")
    guard.watch(disk)
    told = program("copy", "--dry-run", option, "--format", "raw", disk, "disk", "/", tmp_path / "out")
    assert told.status == 0, told
    assert "overlay.qcow2" in told.out
    assert "noload" not in told.out
    assert ("e2fsck -y -f" in told.out) == (option == "--repair")
    assert not (tmp_path / "out").exists()


def test_what_nobody_can_check_is_said(program: Program, tmp_path: Path, guard: Guard) -> None:
    (tmp_path / "tree").mkdir()
    disk = tmp_path / "disk.raw"
    subprocess.run(["mksquashfs", tmp_path / "tree", disk, "-quiet"], check=True, capture_output=True)
    guard.watch(disk)
    told = program("check", "--format", "raw", disk, "disk")
    assert told.status == 1, told
    assert "There is no check for squashfs" in told.out


def test_a_file_system_that_was_never_mounted_is_copied_with_replay_too(
    healthy: Path, program: Program, tmp_path: Path, guard: Guard
) -> None:
    guard.watch(healthy)
    told = program("copy", "--replay", "--format", "raw", healthy, "disk", "/", tmp_path / "out")
    assert told.status == 0, told
