"""What is encrypted, sleeps or belongs to other systems is recognised and said: rows 42 to 44."""

import hashlib
import json
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core import host, tools
from core.runner import SystemRunner
from core.session import Session
from core.undo.state import StateFolder
from core.volumes.filesystems import FILE_SYSTEMS
from tests.conftest import Guard, needs_root
from tests.core.tables.table_disks import get, put, sparse
from tests.hostile.asking import ask
from tests.hostile.signatures import MACS_AND_BSDS, bitlocker, damaged_luks, luks1, luks2
from tests.hostile.volumes import (
    MIB,
    filled,
    in_partition,
    inspected,
    problems,
    refused,
)

pytestmark = needs_root


@pytest.mark.hostile(42)
def test_nobody_talks_to_udisks(tmp_path: Path, guard: Guard) -> None:
    """A program of that name that is called would leave its mark."""
    fakes, mark = tmp_path / "bin", tmp_path / "called"
    fakes.mkdir()
    for name in ("udisksctl", "gdbus", "busctl", "dbus-send", "gio", "pkexec"):
        (fakes / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (fakes / name).chmod(0o755)
    disk, state = filled(tmp_path / "disk.raw"), tmp_path / "state"
    guard.watch(disk)
    path = f"{fakes}:{os.environ['PATH']}"
    for call in (("inspect", disk), ("ls", disk, "disk"), ("mount", disk, "disk", tmp_path / "m")):
        told = ask(state, "--format", "raw", *call, path=path)
        assert told.status == 0, told
    assert ask(state, "undo", "--all", path=path).status == 0
    assert not mark.exists()


@pytest.mark.hostile(43)
@pytest.mark.parametrize(
    ("make", "content", "words"),
    [
        (luks1, "crypto_LUKS", "encrypted with LUKS"),
        (luks2, "crypto_LUKS", "encrypted with LUKS"),
        (damaged_luks, "crypto_LUKS", "encrypted with LUKS"),
        (bitlocker, "BitLocker", "encrypted with BitLocker"),
    ],
)
def test_what_is_encrypted_is_recognised_said_and_not_tried(
    make: Callable[[Path], None], content: str, words: str, tmp_path: Path, guard: Guard
) -> None:
    part = sparse(tmp_path / "part", 16 * MIB)
    make(part)
    disk = in_partition(tmp_path / "disk.raw", part)
    guard.watch(disk)
    document = inspected(disk, tmp_path / "state")
    whole, *inside = document["volumes"]
    assert whole["content"] == content
    name = "1/luks" if content == "crypto_LUKS" else "1/bitlocker"
    assert [(one["id"], one["kind"], one["content"]) for one in inside] == [(name, "luks", None)]
    told = ask(tmp_path / "state", "ls", "--explain", disk, "1")
    assert told.status == 1, told
    assert words in told.err
    assert "cryptsetup" not in told.err
    assert "losetup" not in told.err


@pytest.mark.hostile(43)
def test_what_looks_like_noise_may_be_encrypted(tmp_path: Path, guard: Guard) -> None:
    part = tmp_path / "part"
    part.write_bytes(hashlib.shake_256(b"VeraCrypt").digest(2 * MIB))
    disk = in_partition(tmp_path / "disk.raw", part)
    guard.watch(disk)
    told = ask(tmp_path / "state", "ls", disk, "1")
    assert told.status == 1, told
    assert "may be empty, encrypted or damaged" in told.err


@pytest.mark.hostile(44)
@pytest.mark.parametrize("content", sorted(MACS_AND_BSDS))
def test_file_systems_of_macs_and_bsds_are_recognised_and_said(
    content: str, tmp_path: Path, guard: Guard
) -> None:
    disk = sparse(tmp_path / "disk.raw", 16 * MIB)
    MACS_AND_BSDS[content](disk)
    said = refused(disk, tmp_path / "state", content, guard)
    assert "which this program does not read" in said
    assert {"apfs": "apfs-fuse", "hfsplus": "mount -t hfsplus", "ufs": "ufstype=ufs2"}[content] in said


@pytest.fixture
def ntfs(tmp_path: Path) -> Path:
    disk = sparse(tmp_path / "disk.raw", 16 * MIB)
    subprocess.run(["mkntfs", "-q", "-F", disk], check=True, capture_output=True)
    (tmp_path / "by-hand").mkdir()
    return disk


@contextmanager
def windows(disk: Path) -> Iterator[Path]:
    point = disk.parent / "by-hand"
    subprocess.run(["ntfs-3g", disk, point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.fixture
def kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has ntfs3, but does not mount this volume: where it has not, mount(8) fails as well."""
    monkeypatch.setattr(host, "kernel_reads", lambda _name: True)
    monkeypatch.setitem(
        FILE_SYSTEMS,
        "ntfs",
        replace(FILE_SYSTEMS["ntfs"], type="ntfs3-none", unreplayed=("", "iocharset=utf8")),
    )


@pytest.mark.usefixtures("kernel_refuses")
def test_what_the_kernel_refuses_is_read_by_a_program(ntfs: Path, tmp_path: Path, guard: Guard) -> None:
    with windows(ntfs) as point:
        (point / "letter").write_text("rescued\n")
    guard.watch(ntfs)
    state = tmp_path / "state"
    told = ask(state, "cat", "--explain", "--format", "raw", ntfs, "disk", "/letter")
    assert (told.status, told.out) == (0, "rescued\n"), told
    assert "refused this ntfs, so ntfs-3g reads it instead" in told.err
    assert "the kernel's driver refused it" in told.err and "ro,nosuid,nodev,noexec" in told.err
    told = ask(state, "copy", "--format", "raw", ntfs, "disk", "/letter", tmp_path / "out")
    assert told.status == 0, told
    assert "ntfs-3g reads it instead" in (tmp_path / "out/salvage-report.md").read_text()
    assert not list((state / "sessions").iterdir())


@pytest.mark.usefixtures("kernel_refuses")
def test_that_program_lives_where_the_host_does(ntfs: Path, tmp_path: Path, guard: Guard) -> None:
    """In the private mount namespace, in which the kernel was asked, it would never end."""
    guard.watch(ntfs)

    def opened() -> None:
        with Session(StateFolder(tmp_path / "state"), SystemRunner()) as session:
            session.select(str(ntfs), "raw")
            session.open("disk")
            [pid] = [entry.identity["pid"] for entry in session.stack.standing if "pid" in entry.identity]
            assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
            with session.guest() as tree:
                tree.entries(b"/")
            assert "ntfs-3g reads it instead" in session.remark

    with ThreadPoolExecutor(1) as thread:
        thread.submit(opened).result()
    assert guard.left_behind() == []


@pytest.mark.usefixtures("kernel_refuses")
def test_what_neither_kernel_nor_program_reads_says_both(ntfs: Path, tmp_path: Path, guard: Guard) -> None:
    mirror = int.from_bytes(get(ntfs, 56, 8), "little") * get(ntfs, 13, 1)[0] * 512
    put(ntfs, mirror, bytes(4096))
    guard.watch(ntfs)
    told = ask(tmp_path / "state", "ls", "--format", "raw", ntfs, "disk")
    assert told.status == 1, told
    assert "The kernel refused it as ntfs3-none (" in told.err
    assert "ntfs-3g could not start" in told.err and "with --repair" in told.err


@pytest.mark.usefixtures("kernel_refuses")
def test_without_that_program_it_is_told_how_to_get_it(
    ntfs: Path, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.watch(ntfs)
    found = tools.find
    monkeypatch.setattr(tools, "find", lambda name: None if name == "ntfs-3g" else found(name))
    told = ask(tmp_path / "state", "ls", "--format", "raw", ntfs, "disk")
    assert told.status == 1, told
    assert "could not be mounted as ntfs3-none" in told.err
    assert "ntfs-3g may read it all the same. Install it with: apt-get install ntfs-3g." in told.err


@pytest.mark.hostile(44)
@pytest.mark.parametrize("begins", [b"hibr", b"HIBR", b"\0\0\0\0", b"wake"])
def test_a_windows_that_sleeps_is_told(ntfs: Path, begins: bytes, tmp_path: Path, guard: Guard) -> None:
    with windows(ntfs) as point:
        (point / "hiberfil.sys").write_bytes(begins.ljust(8192, b"\0"))
        (point / "letter").write_text("rescued\n")
    guard.watch(ntfs)
    told = ask(tmp_path / "state", "cat", "--format", "raw", ntfs, "disk", "/letter")
    assert (told.status, told.out) == (0, "rescued\n"), told
    assert ("Windows sleeps in this volume" in told.err) == (begins.lower() == b"hibr")


@pytest.mark.hostile(44)
def test_an_ntfs_that_was_not_shut_down_is_told(ntfs: Path, tmp_path: Path, guard: Guard) -> None:
    state = tmp_path / "state"
    assert "cleanly" not in problems(inspected(ntfs, state, "--format", "raw"))
    cluster = get(ntfs, 13, 1)[0] * 512
    table, mirror = (int.from_bytes(get(ntfs, at, 8), "little") * cluster + 3 * 1024 for at in (48, 56))
    record = get(ntfs, table, 1024)
    at = struct.unpack_from("<H", record, 20)[0]
    while struct.unpack_from("<I", record, at)[0] != 0x70:
        at += struct.unpack_from("<I", record, at + 4)[0]
    for volume in (table, mirror):
        put(ntfs, volume + at + struct.unpack_from("<H", record, at + 20)[0] + 10, b"\x01")
    guard.watch(ntfs)
    assert "Windows did not shut it down cleanly" in problems(inspected(ntfs, state, "--format", "raw"))
    assert ask(state, "ls", "--format", "raw", ntfs, "disk").status == 0


@pytest.mark.hostile(44)
def test_a_reparse_point_that_cannot_be_read_is_listed(ntfs: Path, tmp_path: Path, guard: Guard) -> None:
    """Files that Windows compressed or deduplicated are reparse points with a tag of their own."""
    tag = struct.pack("<IHH", 0x80000013, 8, 0) + bytes(8)
    with windows(ntfs) as point:
        (point / "dedup").write_text("")
        (point / "letter").write_text("rescued\n")
        os.setxattr(point / "dedup", "system.ntfs_reparse_data", tag)
    guard.watch(ntfs)
    told = ask(tmp_path / "state", "copy", "--json", "--format", "raw", ntfs, "disk", "/", tmp_path / "out")
    assert told.status in (0, 4), told
    document = json.loads(told.out)
    assert (tmp_path / "out/letter").read_text() == "rescued\n"
    told_of = [one["path"] for one in (*document["unreadable"], *document["lost_metadata"])]
    assert "/dedup" in told_of or (tmp_path / "out/dedup").is_symlink()
