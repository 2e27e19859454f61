"""A tar in the pax format: names of any bytes, nanoseconds, attributes, ACLs, holes, hard links.

pax(1) of POSIX.1-2024; ``SCHILY.xattr`` and ``SCHILY.acl`` as star, GNU tar and bsdtar write them; holes as
GNU's sparse format 1.0 (its manual, "PAX Format, Version 1.0"). The plain headers are tarfile's.
"""

import os
import stat
import struct
import tarfile
import time
from collections.abc import Iterator
from typing import IO, Protocol

from core.files.content import Content

_BLOCK = 512
_ZEROS = bytes(1 << 20)
_ACL = b"system.posix_acl_"
_ACL_ENTRY = struct.Struct("<HHI")
_TAGS = {1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
_NAMED = (2, 8)
_KINDS = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}
_MOST_EXTENTS = 10_000
_LONGEST = 99
_BIGGEST = 8**11


class Sink(Protocol):
    """Where the archive goes."""

    def write(self, data: bytes | memoryview, /) -> object: ...


class TarWriter:
    """Writes one member after the other."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def head(
        self,
        name: bytes,
        status: os.stat_result,
        mode: int,
        attributes: dict[bytes, bytes],
        *,
        target: bytes = b"",
        hard: bool = False,
        size: int = 0,
        extra: dict[bytes, bytes] | None = None,
    ) -> None:
        """The header of a member. `target` is where a link leads; `hard`: to an earlier member."""
        records = dict(extra or {})
        for key, value in attributes.items():
            records |= _attribute(key, value)
        kind = stat.S_IFMT(status.st_mode)
        owner = (status.st_uid, status.st_gid)
        type_ = tarfile.LNKTYPE if hard else _KINDS[kind]
        device = status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
        self._member(name, type_, mode, owner, status.st_mtime_ns, size, target, device, records)

    def _member(
        self,
        name: bytes,
        kind: bytes,
        mode: int,
        owner: tuple[int, int],
        mtime_ns: int,
        size: int = 0,
        target: bytes = b"",
        device: int = 0,
        records: dict[bytes, bytes] | None = None,
    ) -> None:
        """A header as ustar has it, and before it the records for what does not fit in there."""
        info = tarfile.TarInfo()
        info.type, info.mode = kind, mode
        info.devmajor, info.devminor = os.major(device), os.minor(device)
        extra: dict[bytes, bytes] = {}
        info.name = _short(name, b"path", extra)
        info.linkname = _short(target, b"linkpath", extra)
        info.uid, info.gid = _fitting(owner[0], b"uid", extra), _fitting(owner[1], b"gid", extra)
        info.size = _fitting(size, b"size", extra, _BIGGEST)
        seconds, rest = divmod(mtime_ns, 1_000_000_000)
        info.mtime = seconds if 0 <= seconds < _BIGGEST else 0
        if rest or info.mtime != seconds:
            extra[b"mtime"] = _decimal(mtime_ns)
        extra |= records or {}
        if extra:
            head = tarfile.TarInfo("./PaxHeaders/" + info.name[-80:])
            head.type = tarfile.XHDTYPE
            data = b"".join(_record(key, value) for key, value in extra.items())
            head.size = len(data)
            self._sink.write(head.tobuf(tarfile.USTAR_FORMAT, "ascii", "replace"))
            self._sink.write(data)
            self._pad(len(data))
        self._sink.write(info.tobuf(tarfile.USTAR_FORMAT, "ascii", "replace"))

    def folder(self, name: bytes, status: os.stat_result, mode: int, attributes: dict[bytes, bytes]) -> None:
        self.head(name + b"/", status, mode, attributes)

    def file(
        self, name: bytes, status: os.stat_result, mode: int, attributes: dict[bytes, bytes], content: Content
    ) -> Iterator[memoryview | int]:
        """A regular file, piece by piece as it is read: bytes, or the length of a hole."""
        data = content.data_extents() if content.sparse else None
        if data is None or len(data) > _MOST_EXTENTS:
            self.head(name, status, mode, attributes, size=content.size)
            yield from self._dense(content)
            return
        # A hole at the end is told by a stretch without bytes
        told = data if data and data[-1][1] == content.size else [*data, (content.size, content.size)]
        numbers = [len(told), *(number for start, end in told for number in (start, end - start))]
        table = "".join(f"{number}\n" for number in numbers).encode("ascii")
        table += bytes(-len(table) % _BLOCK)
        stored = sum(end - start for start, end in data)
        extra = {
            b"GNU.sparse.major": b"1",
            b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": name,
            b"GNU.sparse.realsize": b"%d" % content.size,
        }
        short = b"GNUSparseFile.0/" + name.rpartition(b"/")[2][:80]
        self.head(short, status, mode, attributes, size=len(table) + stored, extra=extra)
        self._sink.write(table)
        yield from self._sparse(content, data)
        self._pad(stored)

    def link(self, name: bytes, status: os.stat_result, first: bytes) -> None:
        """Another name of an earlier member."""
        self.head(name, status, stat.S_IMODE(status.st_mode), {}, target=first, hard=True)

    def text(self, name: bytes, lines: IO[bytes], size: int) -> None:
        """A file of our own with that many bytes."""
        self._member(name, tarfile.REGTYPE, 0o600, (0, 0), time.time_ns(), size)
        while piece := lines.read(1 << 20):
            self._sink.write(piece)
        self._pad(size)

    def close(self) -> None:
        """The end of the archive: two blocks of zeros, and what fills the last record."""
        self._sink.write(bytes(2 * _BLOCK))

    def _dense(self, content: Content) -> Iterator[memoryview | int]:
        for piece in content.pieces():
            self._sink.write(_ZEROS[:piece] if isinstance(piece, int) else piece)
            yield piece
        self._pad(content.size)

    def _sparse(self, content: Content, data: list[tuple[int, int]]) -> Iterator[memoryview | int]:
        """What is read of the stretches that the table lists, whatever stands in for what cannot be read."""
        position = 0
        for piece in content.pieces():
            length = piece if isinstance(piece, int) else len(piece)
            for start, end in data:
                one, other = max(start, position), min(end, position + length)
                if one < other:
                    cut = slice(one - position, other - position)
                    self._sink.write(_ZEROS[: other - one] if isinstance(piece, int) else piece[cut])
            position += length
            data = [stretch for stretch in data if stretch[1] > position]
            yield piece

    def _pad(self, size: int) -> None:
        if size % _BLOCK:
            self._sink.write(bytes(-size % _BLOCK))


def _short(name: bytes, key: bytes, extra: dict[bytes, bytes]) -> str:
    """A name as ustar takes it; one that it does not take goes into a record."""
    if len(name) > _LONGEST or not name.isascii():
        extra[key] = name
        return "".join(chr(byte) if 32 <= byte < 127 else "_" for byte in name[-_LONGEST:]).lstrip("/")
    return name.decode("ascii")


def _fitting(number: int, key: bytes, extra: dict[bytes, bytes], limit: int = 8**7) -> int:
    if number < limit:
        return number
    extra[key] = b"%d" % number
    return 0


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value``, the length counting itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    while rest + len(str(length)) != length:
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _decimal(nanoseconds: int) -> bytes:
    """Seconds with nine digits behind the point."""
    sign, value = (b"-", -nanoseconds) if nanoseconds < 0 else (b"", nanoseconds)
    return b"%s%d.%09d" % (sign, value // 1_000_000_000, value % 1_000_000_000)


def _attribute(key: bytes, value: bytes) -> dict[bytes, bytes]:
    # What is no ACL as the kernel writes it is kept as it is
    if key.startswith(_ACL) and (acl := acl_text(value)):
        return {b"SCHILY.acl." + key.removeprefix(_ACL): acl.encode("ascii")}
    if b"=" in key:
        key = key.replace(b"%", b"%25").replace(b"=", b"%3D")
    return {b"SCHILY.xattr." + key: value}


def acl_text(value: bytes) -> str:
    """A POSIX ACL as acl(5) writes it, from the attribute's bytes; empty for what is none."""
    if len(value) < 4 or (len(value) - 4) % _ACL_ENTRY.size or value[:4] != b"\2\0\0\0":
        return ""
    found: list[str] = []
    for tag, bits, number in _ACL_ENTRY.iter_unpack(value[4:]):
        if tag not in _TAGS:
            return ""
        rights = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        found.append(f"{_TAGS[tag]}:{number if tag in _NAMED else ''}:{rights}")
    return ",".join(found)
