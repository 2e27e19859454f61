"""The classical practice disk, as independent programs see it."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from core import tools
from core.errors import SalvageError
from core.lab import catalogue, labs
from core.runner import PlanRunner, SystemRunner

CLASSICAL = catalogue.built_in()[0]
SECTORS = 1_000_944
OFFSETS = {2: 3612672, 5: 92413440, 6: 231243264, 7: 370073088}

if not all(tools.find(name) for name in ("mke2fs", "debugfs", "e2fsck", "qemu-img", "sfdisk")):
    pytest.skip("mke2fs, debugfs, e2fsck, qemu-img or sfdisk is not installed", allow_module_level=True)


def said(*argv: str) -> str:
    path = tools.require(argv[0])
    done = subprocess.run([path, *argv[1:]], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    return done.stdout.decode()


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labs")
    labs.start(CLASSICAL, folder, SystemRunner(), seed=7)
    return folder


@pytest.fixture(scope="module")
def raw(state_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    disk = labs.disk(CLASSICAL, state_dir)
    image = tmp_path_factory.mktemp("raw") / "web01.raw"
    said("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(disk), str(image))
    return image


def dumped(raw: Path, number: int, path: str, target: Path) -> Path:
    target.mkdir()
    said("debugfs", "-R", f"rdump {path} {target}", f"{raw}?offset={OFFSETS[number]}")
    return target


def test_the_table_is_the_classical_one_to_the_sector(raw: Path) -> None:
    table = json.loads(said("sfdisk", "--json", str(raw)))["partitiontable"]
    seen = [
        (
            int(part["node"].rpartition("raw")[2]),
            part["start"],
            part["start"] + part["size"] - 1,
            part["type"],
        )
        for part in table["partitions"]
    ]
    assert seen == [
        (1, 63, 7055, "83"),
        (2, 7056, 180431, "83"),
        (3, 180432, 1000943, "5"),
        (5, 180495, 451583, "83"),
        (6, 451647, 722735, "83"),
        (7, 722799, 993887, "83"),
        (8, 993951, 1000943, "83"),
    ]
    assert table["label"] == "dos"
    assert raw.stat().st_size == SECTORS * 512 == 1000944 * 512


def test_sfdisk_finds_nothing_wrong_with_the_table(raw: Path) -> None:
    done = subprocess.run([tools.require("sfdisk"), "--verify", str(raw)], capture_output=True, text=True)
    assert done.returncode == 0
    assert "No errors detected" in done.stdout


def test_the_image_is_sound(state_dir: Path) -> None:
    disk = labs.disk(CLASSICAL, state_dir)
    assert json.loads(said("qemu-img", "check", "--output=json", str(disk)))["check-errors"] == 0
    assert json.loads(said("qemu-img", "info", "--output=json", str(disk)))["format"] == "qcow2"


@pytest.mark.parametrize("number", sorted(OFFSETS))
def test_each_file_system_is_clean(raw: Path, number: int) -> None:
    said("e2fsck", "-f", "-n", f"{raw}?offset={OFFSETS[number]}")


@pytest.mark.parametrize(("number", "kind"), [(2, "ext2"), (5, "ext4"), (6, "ext4"), (7, "ext3")])
def test_each_file_system_is_of_its_kind(raw: Path, number: int, kind: str) -> None:
    part = next(part for part in CLASSICAL.partitions if part.number == number)
    found = said(
        "blkid",
        "--probe",
        "--output",
        "export",
        "--offset",
        str(part.start * 512),
        "--size",
        str((part.end - part.start + 1) * 512),
        str(raw),
    )
    assert f"TYPE={kind}\n" in found


def test_home_lies_in_partition_5_with_its_owners(raw: Path) -> None:
    where = f"{raw}?offset={OFFSETS[5]}"
    users = said("debugfs", "-R", "ls -p /home", where).split()
    owners = {line.split("/")[5]: int(line.split("/")[3]) for line in users if line.count("/") > 5}
    assert sorted(uid for name, uid in owners.items() if name not in (".", "..")) == [1000, 1001, 1002]


def test_the_kernel_log_breaks_off(raw: Path) -> None:
    log = said("debugfs", "-R", "cat /var/log/kern.log", f"{raw}?offset={OFFSETS[6]}")
    assert "I/O error, dev vda" in log
    assert not log.endswith("\n")


def test_the_settings_lie_in_partition_7(raw: Path) -> None:
    assert said("debugfs", "-R", "cat /etc/hostname", f"{raw}?offset={OFFSETS[7]}") == "web01\n"


def test_it_is_built_within_seconds_and_leaves_only_its_own_files(tmp_path: Path) -> None:
    began = time.monotonic()
    disk = labs.start(CLASSICAL, tmp_path, SystemRunner(), seed=1)
    assert time.monotonic() - began < 10
    assert sorted(path.name for path in disk.parent.iterdir()) == ["lab.json", "recovered", "web01.qcow2"]


def test_a_seed_gives_the_same_contents_and_another_seed_others(tmp_path: Path, state_dir: Path) -> None:
    def contents(name: str, seed: int) -> list[dict[str, str]]:
        disk = labs.start(CLASSICAL, tmp_path / name, SystemRunner(), seed)
        kept: list[dict[str, str]] = json.loads((disk.parent / "lab.json").read_text())["kept"]
        return kept

    same = json.loads((state_dir / CLASSICAL.name / "lab.json").read_text())["kept"]
    assert contents("same", 7) == same
    other = contents("other", 8)
    assert {entry["mark"] for entry in other if entry["kind"] == "file"}.isdisjoint(
        {entry["mark"] for entry in same if entry["kind"] == "file" and "/" in entry["path"]}
        - {entry["mark"] for entry in same if entry["path"].endswith((".profile", "empty.txt"))}
    )


def test_what_debugfs_brings_back_solves_it(state_dir: Path, raw: Path, tmp_path: Path) -> None:
    where = dumped(raw, 5, "/home", tmp_path / "mine")
    verdict = labs.check(CLASSICAL, state_dir, where)
    assert verdict.solved, verdict.findings
    assert labs.state(state_dir, CLASSICAL) == "solved"
    inside = labs.check(CLASSICAL, state_dir, where / "home")
    assert inside.solved, "the contents of /home, without the folder itself, are as good"


def test_nothing_and_too_little_are_told_apart(state_dir: Path, raw: Path, tmp_path: Path) -> None:
    assert not labs.check(CLASSICAL, state_dir, tmp_path / "nowhere").solved
    where = dumped(raw, 5, "/home", tmp_path / "mine")
    lost = next(where.rglob("customers.db"))
    spoiled = next(where.rglob("notes.txt"))
    lost.unlink()
    spoiled.write_text("not what was there")
    verdict = labs.check(CLASSICAL, state_dir, where)
    assert not verdict.solved
    assert any("customers.db" in line and "missing" in line for line in verdict.findings)
    assert any("notes.txt" in line and "not what the disk holds" in line for line in verdict.findings)


def test_a_copy_that_follows_links_is_not_the_same_tree(state_dir: Path, raw: Path, tmp_path: Path) -> None:
    where = dumped(raw, 5, "/home", tmp_path / "mine")
    shutil.copytree(where, tmp_path / "followed", symlinks=False)
    assert not labs.check(CLASSICAL, state_dir, tmp_path / "followed").solved


def test_lost_times_are_told_but_do_not_fail(state_dir: Path, raw: Path, tmp_path: Path) -> None:
    where = dumped(raw, 5, "/home", tmp_path / "mine")
    os.utime(next(where.rglob("notes.txt")), (0, 0))
    verdict = labs.check(CLASSICAL, state_dir, where)
    assert verdict.solved
    assert any("lost its mode or its time" in line for line in verdict.findings)


def test_a_disk_that_was_written_to_fails_whatever_was_recovered(raw: Path, tmp_path: Path) -> None:
    disk = labs.start(CLASSICAL, tmp_path, SystemRunner(), seed=7)
    where = dumped(raw, 5, "/home", tmp_path / "mine")
    with open(disk, "r+b") as image:
        image.seek(-1, os.SEEK_END)
        last = image.read(1)
        image.seek(-1, os.SEEK_END)
        image.write(bytes([last[0] ^ 1]))
    verdict = labs.check(CLASSICAL, tmp_path, where)
    assert not verdict.solved
    assert "written to" in verdict.findings[0]
    disk.unlink()
    assert "gone" in labs.check(CLASSICAL, tmp_path, where).findings[0]


def test_a_dry_run_tells_the_commands_and_makes_nothing(tmp_path: Path) -> None:
    runner = PlanRunner()
    disk = labs.start(CLASSICAL, tmp_path / "labs", runner, seed=7)
    programs = [ran.command.argv[0] for ran in runner.transcript]
    assert programs.count("mke2fs") == 4
    assert programs[-1] == "qemu-img"
    assert not (tmp_path / "labs").exists()
    assert disk == tmp_path / "labs" / CLASSICAL.name / "web01.qcow2"


def test_a_build_that_fails_leaves_no_half_disk(tmp_path: Path) -> None:
    def build(_lab: object, folder: Path, runner: object, seed: int) -> object:
        (folder / "half.raw").write_bytes(b"x")
        raise OSError(28, "No space left on device")

    with pytest.raises(SalvageError, match="No space left"):
        labs.start(CLASSICAL, tmp_path, SystemRunner(), seed=7, make=build)  # type: ignore[arg-type]
    assert labs.state(tmp_path, CLASSICAL) == "new"
    assert list((tmp_path / CLASSICAL.name).iterdir()) == []
