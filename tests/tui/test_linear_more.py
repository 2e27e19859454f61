"""The line-by-line mode beyond the plain road: coach, search, snapshots, subvolumes, repair, writing back."""

import shutil
import subprocess
from pathlib import Path

from core import host
from core.lab import catalogue, labs
from core.lab import record as records
from core.runner import SystemRunner
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.test_disks_packed import two_in_one
from tests.core.tables.lost_disks import with_an_image_inside
from tests.core.volumes.layer_disks import MIB, luks_disk
from tests.hostile.volumes import by_hand, filled
from tests.tui.test_linear import talk

pytestmark = needs_root
SEED = 5


def number(name: str) -> str:
    """The number of a practice disk in the list."""
    return str([one.name for one in catalogue.built_in()].index(name) + 1)


def built(name: str, folder: Path) -> Path:
    return labs.start(catalogue.named(name, folder), folder, SystemRunner(), SEED)


def test_a_ticket_with_coach_search_question_and_script(
    state_dir: Path, guard: Guard, tmp_path: Path
) -> None:
    folder, out = state_dir / "labs", tmp_path / "out"
    disk = built("bad-area", folder)
    guard.watch(disk)
    record = records.read(disk.parent)
    assert record
    # practise, its number, guided; read only; partition 1; browse; the question wrong and right; search
    answers = ["1", number("bad-area"), "1", "1", "1", "1", "1", "2", "f orders.db", "w", "u"]
    # backups and srv; copy; answer; check; script; leave
    answers += [
        "m 1 3",
        "y",
        "b",
        "y",
        str(out),
        "no",
        "y",
        "",
        "no",
        "y",
        str(out),
        "yes",
        "2",
        record.facts["bad.file"],
        "1",
        "3",
        "7",
    ]
    called = talk(state_dir, answers)
    assert (called.returncode, called.stderr) == (0, ""), called.stdout
    for said in (
        "Look: ",
        "Next: Choose read only.",
        "Not so. It reads its first page",
        "Yes: the map names",
        "1: /srv/shop/data/orders.db, file",
        f"Enter alone: {labs.recovered(catalogue.named('bad-area', folder), folder)}",
        "The task is solved",
        "salvage-by-hand.sh",
        "Host as found",
    ):
        assert said in called.stdout, (said, called.stdout)
    assert called.stdout.count("Nothing was copied.") == 3
    assert (out / "salvage-by-hand.sh").stat().st_mode & 0o100
    kept = records.read(disk.parent)
    assert kept and kept.quizzes == {"0": 1} and kept.way == "guided"
    guard.originals.clear()
    labs.reset(catalogue.named("bad-area", folder), folder)


def test_leftovers_with_the_coach_and_only_the_crashed_one(state_dir: Path, guard: Guard) -> None:
    folder = state_dir / "labs"
    built("leftovers", folder)
    lab = catalogue.named("leftovers", folder)
    try:
        answers = ["1", number("leftovers"), "1", "2", "2", "1", "b", "5", "q"]
        called = talk(state_dir, answers)
        assert called.returncode == 0, called
        for said in ("Next: Choose the one whose program died", "its program died", "The task is solved"):
            assert said in called.stdout, (said, called.stdout)
        assert labs.check(lab, folder).breaches == ()
    finally:
        labs.reset(lab, folder)


def test_what_a_search_set_aside_is_told_with_the_reason(
    state_dir: Path, guard: Guard, tmp_path: Path
) -> None:
    disk = with_an_image_inside(tmp_path)
    guard.watch(disk)
    called = talk(state_dir, ["1", "2", "q"], disk)  # read only; search
    assert called.returncode == 0, called
    told = next(line for line in called.stdout.splitlines() if "; set aside: " in line)
    assert "ext2, 16.0 MiB" in told and "inside" in told, called.stdout


def test_a_snapshot_is_chosen_and_told(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    disk = built("inside-a-snapshot", tmp_path)
    guard.watch(disk)
    called = talk(state_dir, ["4", "2", "1", "b", "4", "1", "q"], disk)
    assert called.returncode == 0, called
    shown = [line for line in called.stdout.splitlines() if line.startswith("Shown is: ")]
    assert shown[0] == shown[-1] == "Shown is: the present state" and len(set(shown)) == 2, shown


def test_a_check_and_a_repair_in_an_overlay(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    disk = built("classical-table", tmp_path)
    guard.watch(disk)
    called = talk(state_dir, ["1", "3", "4", "1", "1", "m 1", "b", "q"], disk)
    assert called.returncode == 0, called
    assert "Repairing it in an overlay" in called.stdout
    assert "1: home, folder" in called.stdout
    assert "Host as found" in called.stdout


def test_the_journal_is_carried_out(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    disk = built("dirty-journal", tmp_path)
    guard.watch(disk)
    called = talk(state_dir, ["1", "1", "1", "b", "q"], disk)
    assert called.returncode == 0, called
    assert "1: Browse and copy files, with the journal replayed" in called.stdout
    assert "1: lost+found, folder" in called.stdout
    assert "Host as found" in called.stdout


def test_a_subvolume_is_opened(state_dir: Path, guard: Guard, tmp_path: Path) -> None:
    disk = filled(tmp_path / "b.raw", "btrfs")
    with by_hand(disk, tmp_path / "by-hand", "rw") as point:
        subprocess.run(["btrfs", "subvolume", "create", point / "keep"], check=True, capture_output=True)
        (point / "keep/inside.txt").write_text("x")
    guard.watch(disk)
    called = talk(state_dir, ["1", "1", "4", "2", "q"], disk)
    assert called.returncode == 0, called
    assert "1: inside.txt, file" in called.stdout, called.stdout


def test_a_key_file_opens_a_volume_by_a_header_elsewhere_too(
    state_dir: Path, guard: Guard, tmp_path: Path
) -> None:
    disk, key, header = luks_disk(tmp_path / "disk.raw", "Tr0ub4dor"), tmp_path / "key", tmp_path / "header"
    key.write_text("Tr0ub4dor")
    header.write_bytes(disk.read_bytes()[MIB : 3 * MIB])
    lost = tmp_path / "lost.raw"
    shutil.copyfile(disk, lost)
    with open(lost, "r+b") as file:
        file.seek(MIB)
        file.write(bytes(64 * 1024))
    guard.watch(disk, lost, header, key)
    # read only, by a key file: first nobody's, then ours; browse its files
    answers = ["1", "4", "", str(tmp_path / "none"), "4", "", str(key), "1", "q"]
    called = talk(state_dir, answers, disk)
    assert called.returncode == 0, called.stdout
    assert "none" in called.stdout and "home" in called.stdout.split("What shall be done with")[-1]
    # the same where the header is in a file of its own
    called = talk(state_dir, ["1", "3", "b", "3", str(header), str(key), "q"], lost)
    told = "Which volume?" if host.has_device_mapper() else "device mapper"
    assert told in called.stdout.split("A key file; Enter alone")[-1]


def test_what_an_overlay_holds_is_written_back(
    state_dir: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    disk = built("classical-table", tmp_path / "labs")
    point = tmp_path / "m"
    assert program("mount", disk, "5", point, "--writable").status == 0
    (point / "new.txt").write_text("written\n")
    refused = talk(state_dir, ["3", "1", "2", "some other name", "q"])
    assert "Nothing was written" in refused.stdout, refused.stdout
    called = talk(state_dir, ["3", "1", "2", "wrong", disk.name, "3"])
    assert "That is not the disk's name, which is" in called.stdout
    assert "verified in" in called.stdout and "Nothing is up any more." in called.stdout, called.stdout
    assert program("cat", disk, "5", "/new.txt").out == "written\n"


def test_of_several_disks_in_an_archive_one_is_asked_for(
    state_dir: Path, guard: Guard, tmp_path: Path
) -> None:
    archive, out = two_in_one(tmp_path), tmp_path / "out"
    guard.watch(archive)
    # the second; read only; partition 1; browse; the letter; copy; leave
    called = talk(state_dir, ["2", "1", "1", "1", "m 2", "y", str(out), "yes", "4"], archive)
    assert (called.returncode, called.stderr) == (0, ""), called.stdout
    assert "2: b.qcow2" in called.stdout and "--member" not in called.stdout
    assert "Recovered: 1 file, " in called.stdout
    assert (out / "letter").read_text() == "other\n"
