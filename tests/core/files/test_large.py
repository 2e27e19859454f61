"""Large files, hashed in a thread while they are read into two buffers in turn."""

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.files.content import CHUNK, Content, transfer


@pytest.mark.parametrize("holes", ["told", "not told"])
@pytest.mark.parametrize("bad", [False, True])
def test_a_large_file_is_the_same_with_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holes: str, bad: bool
) -> None:
    """Also in small parts: where zeros are looked for, and around a place that cannot be read."""
    chance = random.Random(7)
    blocks = [os.urandom(1 << 16) if chance.random() < 0.6 else bytes(1 << 16) for _block in range(200)]
    data = bytearray(b"".join(blocks) + os.urandom(77))
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(data)
    spot = 5 * CHUNK + 4096

    def read(fd: int, into: memoryview, offset: int) -> int:
        if bad and offset <= spot < offset + len(into):
            raise OSError(5, "bad")
        return os.preadv(fd, [into], offset)

    def all_of_it(self: Content) -> Iterator[tuple[int, int]]:
        yield 0, self.size

    if holes == "not told":
        monkeypatch.setattr(Content, "_extents", all_of_it)
    fd, onto = os.open(source, os.O_RDONLY), os.open(copy, os.O_RDWR | os.O_CREAT)
    try:
        content = Content(fd, len(data), holes == "not told", memoryview(bytearray(CHUNK)), read)
        pieces: list[tuple[int, bytes]] = []
        digest = transfer(content, onto, lambda _count: None, lambda at, p: pieces.append((at, bytes(p))))
    finally:
        os.close(fd)
        os.close(onto)
    if bad:
        data[spot : spot + 4096] = bytes(4096)
        assert [(gap.start, gap.end) for gap in content.gaps] == [(spot, spot + 4096)]
    assert copy.read_bytes() == data
    assert digest == hashlib.sha256(data).hexdigest()
    assert all(data[at : at + len(piece)] == piece for at, piece in pieces)
