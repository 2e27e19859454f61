"""A zip with what that format can hold: content, modes, owners and times to the second, symbolic links.

The extra fields are Info-ZIP's (proginfo/extrafld.txt): UT for the time of change, ux for the owner.
"""

import os
import stat
import struct
import time
import zipfile
from collections.abc import Iterator
from typing import IO

from core.files.content import Content

_ZEROS = bytes(1 << 20)
_OLDEST, _NEWEST = 1980, 2107
_LEVEL = 1
"""How hard the data is packed: the reading is to be what takes the time."""


class ZipWriter:
    """Writes one member after the other."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)

    def folder(self, name: bytes, status: os.stat_result, mode: int, _attributes: dict[bytes, bytes]) -> None:
        self._zip.writestr(_info(name + b"/", status, stat.S_IFDIR | mode), b"")

    def head(
        self,
        name: bytes,
        status: os.stat_result,
        mode: int,
        _attributes: dict[bytes, bytes],
        *,
        target: bytes = b"",
    ) -> None:
        """A symbolic link to `target`: nothing else without content is held."""
        self._zip.writestr(_info(name, status, stat.S_IFLNK | mode), target)

    def file(
        self,
        name: bytes,
        status: os.stat_result,
        mode: int,
        _attributes: dict[bytes, bytes],
        content: Content,
    ) -> Iterator[memoryview | int]:
        """A regular file, piece by piece as it is read: bytes, or the length of a hole."""
        info = _info(name, status, stat.S_IFREG | mode)
        info.file_size = content.size
        with self._zip.open(info, "w", force_zip64=content.size > 1 << 30) as member:
            for piece in content.pieces():
                member.write(_ZEROS[:piece] if isinstance(piece, int) else piece)
                yield piece

    def link(self, _name: bytes, _status: os.stat_result, _first: bytes) -> None:
        raise NotImplementedError

    def text(self, name: bytes, lines: IO[bytes], size: int) -> None:
        """A file of our own with that many bytes."""
        info = zipfile.ZipInfo(name.decode("ascii"), time.gmtime()[:6])
        info.compress_type, info.file_size, info.external_attr = zipfile.ZIP_DEFLATED, size, 0o100600 << 16
        with self._zip.open(info, "w", force_zip64=size > 1 << 30) as member:
            while piece := lines.read(1 << 20):
                member.write(piece)

    def close(self) -> None:
        """The list of all members."""
        self._zip.close()


def _info(name: bytes, status: os.stat_result, mode: int) -> zipfile.ZipInfo:
    seconds = status.st_mtime_ns // 1_000_000_000
    try:
        moment = time.gmtime(seconds)[:6]
    except (OverflowError, ValueError, OSError):
        moment = (_OLDEST, 1, 1, 0, 0, 0)
    if moment[0] < _OLDEST:
        moment = (_OLDEST, 1, 1, 0, 0, 0)
    elif moment[0] > _NEWEST:
        moment = (_NEWEST, 12, 31, 23, 59, 58)
    info = zipfile.ZipInfo(name.decode("utf-8"), moment)
    info.create_system = 3  # Unix
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    extra = struct.pack("<HHBBIBI", 0x7875, 11, 1, 4, status.st_uid, 4, status.st_gid)
    if -(1 << 31) <= seconds < 1 << 31:
        extra = struct.pack("<HHBi", 0x5455, 5, 1, seconds) + extra
    info.extra = extra
    return info
