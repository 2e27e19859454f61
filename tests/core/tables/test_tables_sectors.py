"""The reader under the tables: what it reads, what it remembers, what the table copy holds."""

import errno
import os
from pathlib import Path

import pytest

from core.runner import SystemRunner
from core.tables.judge import read_table
from core.tables.sectors import Sectors
from tests.core.tables.table_disks import mbr_disk, put, sparse

MIB = 1 << 20


def test_table_copy_holds_what_was_read_and_nothing_of_the_rest(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 100 * MIB)
    for at, data in ((10, b"first"), (50 * MIB, b"chain"), (60 * MIB, b"secret"), (100 * MIB - 9, b"last")):
        put(disk, at, data)
    with Sectors(disk, 100 * MIB) as sectors:
        assert sectors.read(50 * MIB, 512).startswith(b"chain")
        sectors.write_table_copy(tmp_path / "copy")
    copy = (tmp_path / "copy").read_bytes()
    assert len(copy) == 100 * MIB
    assert b"secret" not in copy
    assert copy[10:15] == b"first" and copy[50 * MIB :].startswith(b"chain") and copy[-9:-5] == b"last"
    assert os.stat(tmp_path / "copy").st_blocks * 512 < 4 * MIB


def test_reading_stays_inside_the_disk(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 1000)
    with Sectors(disk, 1000) as sectors:
        assert len(sectors.read(512, 4096)) == 488
        assert sectors.read(1000, 1) == sectors.read(2**70, 512) == sectors.read(-1, 512) == b""
        assert sectors.ranges() == [(0, 1000)]


def test_disk_that_is_shorter_than_its_virtual_size(tmp_path: Path) -> None:
    disk = sparse(tmp_path / "disk", 1000)
    with Sectors(disk, 5 * MIB) as sectors:
        assert len(sectors.read(0, MIB)) == 1000 and sectors.problems == []


def test_bad_medium_is_a_sentence_and_the_rest_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = mbr_disk(tmp_path / "disk", 131072, (0, 0x83, 64, 100), (0, 5, 2048, 4096))
    real = os.pread

    def failing(fd: int, count: int, offset: int) -> bytes:
        if offset <= 2048 * 512 < offset + count:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", failing)
    table = read_table(disk, 131072 * 512, tmp_path, SystemRunner())
    assert [p.number for p in table.partitions] == [1, 2]
    assert any("byte 1048576: Input/output error" in problem for problem in table.problems)
