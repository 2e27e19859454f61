"""The proof that the host is as it was found: what differs is named, with whose it is."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import host, loops
from core.hoststate import Difference, HostState, Owners, Proof, Thing, differences, prove
from core.i18n import use_language
from core.runner import SystemRunner
from core.session import Session
from core.undo.account import Account, Entry
from core.undo.state import StateFolder
from tests.conftest import Guard, Program, needs_root

pytestmark = needs_root


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 disk that is one ext4 file system."""
    folder = tmp_path_factory.mktemp("proof")
    raw, tree = folder / "disk.raw", folder / "tree"
    with open(raw, "wb") as file:
        file.truncate(16 << 20)
    (tree / "home").mkdir(parents=True)
    (tree / "home/letter.txt").write_text("dear reader\n")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, raw], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, folder / "disk.qcow2"], check=True)
    return folder / "disk.qcow2"


@contextmanager
def _loop(backing: Path, *options: str) -> Iterator[str]:
    argv = ["losetup", "--find", "--show", *options, str(backing)]
    path = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)
        end = time.monotonic() + 10
        while loops.loop(path) and time.monotonic() < end:
            os.sched_yield()


def _lines(before: HostState, place: Path) -> list[str]:
    return [str(one) for one in differences(before, HostState.now()) if str(place) in str(one)]


def test_a_look_is_cheap(tmp_path: Path) -> None:
    took = []
    for _turn in range(5):
        began = time.perf_counter()
        HostState.now(tmp_path)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.02


def test_a_loop_is_told_with_its_offset_limit_file_and_flags(tmp_path: Path) -> None:
    file = tmp_path / "backing"
    file.write_bytes(bytes(1 << 20))
    before = HostState.now()
    with _loop(file, "--offset", "4096", "--sizelimit", "8192", "--read-only"):
        [line] = _lines(before, tmp_path)
        assert line.startswith("+ loop device /dev/loop")
        assert "offset 4096 limit 8192 read-only" in line
        assert f":{file.stat().st_ino})" in line
    assert _lines(before, tmp_path) == []


@pytest.mark.hostile(52)
def test_a_loop_of_the_same_number_is_another(tmp_path: Path) -> None:
    file = tmp_path / "backing"
    file.write_bytes(bytes(1 << 20))
    with _loop(file) as first:
        before = HostState.now()
    with _loop(file) as second:
        if first != second:
            pytest.skip("somebody else took the loop device meanwhile")
        assert [line[0] for line in _lines(before, tmp_path)] == ["+", "-"]


def test_what_changes_is_told(tmp_path: Path) -> None:
    point = tmp_path / "m"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        before = HostState.now()
        subprocess.run(["mount", "-o", "remount,ro", point], check=True)
        [line] = _lines(before, point)
        assert line.startswith("~ mount ")
    finally:
        subprocess.run(["umount", point], check=True)


def test_the_journal_and_the_names_tell_whose_it_is(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    mine = sessions / "20260101-000000-aaaa"
    mine.mkdir(parents=True)
    ours, foreign = mine / "view.raw", tmp_path / "other.raw"
    for file in (ours, foreign):
        file.write_bytes(bytes(1 << 20))
    before = HostState.now(sessions)
    with _loop(ours) as of_ours, _loop(foreign) as of_others:
        proof = prove(before, sessions, {mine.name}, Owners(sessions))
        assert not proof.as_found
        assert any(of_ours in str(one) for one in proof.ours)
        assert any(of_others in str(one) for one in proof.others)
        assert f"\n  loop device {of_ours} ({ours})" in proof.sentence()
        assert of_others not in proof.sentence()
        assert any(of_others in str(one) for one in proof.still(sessions).others)
        ours.unlink()
        assert not prove(before, sessions, {mine.name}, Owners(sessions)).as_found, "deleted, and still ours"
    assert not any(of_others in str(one) for one in proof.still(sessions).others), "it went meanwhile"


def test_what_others_changed_is_told_as_a_person_would(tmp_path: Path) -> None:
    def thing(at: int) -> Thing:
        line = f"/dev/loop{at} /srv/{at}.raw (file ?:?) offset 1048576 limit 0 read-only autoclear"
        return Thing("loop", (at,), line, (), f"/dev/loop{at}", f"/srv/{at}.raw")

    now = HostState((), 1)
    others = (
        Difference("+", thing(1)),
        Difference("-", thing(2)),
        *(Difference("+", thing(at)) for at in (3, 4, 5)),
    )
    proof = Proof(now, now, (), others)
    told = "came: loop device /dev/loop1 (/srv/1.raw), loop device /dev/loop3 (/srv/3.raw); went: loop device"
    assert told in proof.sentence() and proof.sentence().endswith("(/srv/2.raw); and 2 more.")
    assert "offset 1048576" in str(proof.to_json()["others"]), "all of it, for a machine"
    use_language("zh_CN")
    try:
        assert "出现：环回设备/dev/loop1（/srv/1.raw）、环回设备/dev/loop3" in proof.sentence(), (
            proof.sentence()
        )
    finally:
        use_language("en")


@pytest.mark.parametrize("boot", ["this one", "an earlier one"])
def test_what_has_a_place_of_an_earlier_boot_is_somebody_elses(tmp_path: Path, boot: str) -> None:
    sessions, point = tmp_path / "sessions", tmp_path / "m"
    point.mkdir()
    before = HostState.now(sessions)
    known = host.boot_id() if boot == "this one" else boot
    entries = (
        Entry(1, "dm", "/dev/loop0", "released", "", 0.0, ()),
        Entry(2, "mount", str(point), "released", "", 0.0, ()),
    )
    owners = Owners(sessions)
    owners.add_known(Account("S", "/disk", known, 1, 1, 1.0, entries))
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        proof = prove(before, sessions, {"S"}, owners)
    finally:
        subprocess.run(["umount", point], check=True)
    assert proof.as_found == (boot != "this one")


def test_a_copy_proves_it_and_ls_is_silent(
    disk: Path, program: Program, guard: Guard, tmp_path: Path
) -> None:
    guard.watch(disk)
    copied = program("copy", disk, "disk", "/home", tmp_path / "out")
    assert copied.status == 0, copied
    assert copied.err.startswith("Host as found: ")
    assert copied.err.count("\n") == 1
    report = json.loads((tmp_path / "out/salvage-report.json").read_text())
    assert report["host_after"]["proof"]["as_found"] is True
    assert report["host_after"]["proof"]["ours"] == []
    assert report["host_before"]["mounts"]
    assert "Host as found" in (tmp_path / "out/salvage-report.md").read_text()
    assert program("ls", disk, "disk", "/home").err == ""


def test_undo_proves_it(disk: Path, program: Program, guard: Guard, tmp_path: Path) -> None:
    guard.watch(disk)
    assert program("mount", disk, "disk", tmp_path / "m").status == 0
    undone = program("undo", "--all")
    assert undone.status == 0
    assert undone.err.startswith("Host as found: ")


def test_what_a_session_leaves_is_named(disk: Path, tmp_path: Path, guard: Guard) -> None:
    """A mistake of this program, played by a loop device that the journal does not know."""
    state = StateFolder(tmp_path / "state")
    extra = tmp_path / "extra"

    def work() -> Session:
        with Session(state, SystemRunner()) as session:
            session.select(str(disk))
            session.open("disk")
            place = session.folder / "extra.raw"
            place.write_bytes(bytes(1 << 20))
            argv = ["losetup", "--find", "--show", str(place)]
            extra.write_text(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
        return session

    with ThreadPoolExecutor(1) as thread:
        session = thread.submit(work).result()
    path = extra.read_text().strip()
    try:
        assert session.proof
        assert not session.proof.as_found
        assert [one.thing.key[0] for one in session.proof.ours] == [path]
        assert path in session.proof.sentence()
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)
