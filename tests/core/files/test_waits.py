"""Waits for a server that hung up at a bad block: as long as they bring anything."""

import errno
import os
import time
from pathlib import Path

import pytest

from core.files.content import CHUNK, Content, Patience


def test_waits_for_what_never_comes_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a disk of which nothing can be read; a block that comes after a wait makes them worth it again."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    patience, buffer, dead = Patience(), memoryview(bytearray(CHUNK)), True

    def read(fd: int, piece: memoryview, position: int) -> int:
        if dead or not waits:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return len(piece)

    for _file in range(1000):
        for _piece in Content(-1, 8192, False, buffer, read, patience=patience).pieces():
            pass
    assert 60 <= sum(waits) < 61
    patience.helped()
    waits.clear()
    dead = False
    pieces = Content(-1, 4096, False, buffer, read, patience=patience).pieces()
    assert [piece if isinstance(piece, int) else len(piece) for piece in pieces] == [4096]
    assert len(waits) == 1


@pytest.mark.parametrize(("end", "more"), [(90, 0), (330, 16)])
def test_behind_a_long_bad_place_a_server_that_hung_up_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int, more: int
) -> None:
    """It hangs up at each bad block and is back after a moment, in which nothing can be read."""
    now = back = 0.0
    bad = range(30, end)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def read(fd: int, piece: memoryview, position: int) -> int:
        nonlocal back
        if now < back:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if position // 4096 < bad.stop and position + len(piece) > bad.start * 4096:
            back = now + 0.015
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return len(piece)

    monkeypatch.setattr(time, "sleep", sleep)
    (tmp_path / "file").write_bytes(b"")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    buffer, patience = memoryview(bytearray(CHUNK)), Patience()
    for _file in range(3):
        content = Content(fd, 2 * CHUNK, False, buffer, read, patience=patience)
        assert sum(one if isinstance(one, int) else len(one) for one in content.pieces()) == 2 * CHUNK
        (gap,) = content.gaps
        assert gap.start == bad.start * 4096
        assert end * 4096 <= gap.end <= (end + more) * 4096
    os.close(fd)
