"""What a file looks like to a person: text and its encoding, an archive and its list, or neither."""

import io
import os
import tarfile
import time
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from core.disks.formats import RAW, has_table, read_header
from core.disks.header import Source
from core.errors import SalvageError
from core.i18n import _
from core.text import quoted, safe, size

LONGEST = 256 << 10
"""Bytes of a file that are looked at as text."""
_LOOK = 8192
_MEMBERS = 2000
_PATIENCE = 2.0
"""Seconds that the list of an archive may take."""
_TAR_AT = 257
_BOMS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file is, and how to show it."""

    what: str
    """Such as an encoding; a word or two for a person."""
    encoding: str = ""
    """Of a text, as Python calls it; empty for what is none."""
    lines: list[str] = field(default_factory=list)
    """What is inside, safe to show, where the bytes themselves tell a person nothing: an archive's list."""


def text_or_not(data: bytes) -> Preview:
    """Whether that is text, and in which encoding; told by the bytes alone."""
    encoding = _encoding(data[:LONGEST])
    if not encoding:
        return Preview(_("no text"))
    return Preview("" if encoding == "utf-8" else encoding.upper(), encoding)


def preview(fd: int, length: int, path: bytes = b"") -> Preview:
    """What an open regular file of that many bytes at a `path` of the volume looks like. Raises OSError."""
    if image := _disk_image(fd, path):
        return image
    head = os.pread(fd, min(LONGEST, max(1, length)), 0)
    with open(os.dup(fd), "rb") as file:
        listed = _archive(file, head)
    if listed:
        return listed
    if head.startswith(b"\x1f\x8b"):
        inside = _unpacked(head)
        encoding = _encoding(inside)
        if inside and encoding:
            text = inside.decode(encoding, "replace").removeprefix("\ufeff")
            lines = [safe(line.rstrip("\r")) for line in text.split("\n")]
            return Preview(_("packed by gzip, its beginning"), lines=lines)
    return text_or_not(head)


def _disk_image(fd: int, path: bytes) -> Preview | None:
    """A disk of a virtual machine, and how one goes on with it; None for every other file."""
    try:
        with Source(Path(f"/proc/self/fd/{fd}")) as source:
            header = read_header(source, None)
            if header.format == RAW and not has_table(source):
                return None
    except SalvageError:
        return None
    told = [
        _("This file is the disk of a virtual machine, with files of its own in it. Go on so:"),
        "",
        _("1. Leave this file list and mount the volume at a folder, read only."),
        _("2. Open the file by its path below that folder, in another call or after a new start:"),
        "   virt-salvage " + quoted("FOLDER" + os.fsdecode(path)),
        _("3. Taken down is the other way round, the inner disk first: `virt-salvage undo --all` does that."),
        "",
        _("What its header names by an absolute path is looked for in the mounted volume, not on this host."),
    ]
    return Preview(
        _("disk image, {format}, {size}").format(format=header.format, size=size(header.virtual_size)),
        lines=told,
    )


def _encoding(data: bytes) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    look = data[:_LOOK]
    if b"\0" in look:
        even, odd = look[0::2].count(0), look[1::2].count(0)
        half = max(1, len(look) // 2)
        # Latin letters in UTF-16 without a mark: every other byte is zero, and hardly any of the rest
        if odd > half * 0.7 and even < half * 0.05:
            return "utf-16-le"
        if even > half * 0.7 and odd < half * 0.05:
            return "utf-16-be"
        return ""
    try:
        data[: len(data) - 4 if len(data) == LONGEST else len(data)].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(data) - 8 or len(data) < LONGEST:
            return "cp1252"
    return "utf-8"


def _unpacked(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(head, LONGEST)
    except zlib.error:
        return b""


def _archive(file: IO[bytes], head: bytes) -> Preview | None:
    try:
        if head.startswith(b"PK\x03\x04"):
            return _zip(file)
        packed = head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"))
        if head[_TAR_AT : _TAR_AT + 5] == b"ustar" or (packed and _holds_tar(head)):
            return _tar(file)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError):
        return None
    return None


def _holds_tar(head: bytes) -> bool:
    if head.startswith(b"\x1f\x8b"):
        return _unpacked(head)[_TAR_AT : _TAR_AT + 5] == b"ustar"
    try:
        with tarfile.open(fileobj=io.BytesIO(head), mode="r:*") as archive:
            return archive.next() is not None
    except (OSError, EOFError, ValueError, tarfile.TarError):
        return False


def _zip(file: IO[bytes]) -> Preview:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        lines = [_row(info.file_size, info.filename) for info in members[:_MEMBERS]]
    return Preview(_("zip, {count} members").format(count=len(members)), lines=_cut(lines, len(members)))


def _tar(file: IO[bytes]) -> Preview:
    until = time.monotonic() + _PATIENCE
    lines: list[str] = []
    more = 0
    with tarfile.open(fileobj=file, mode="r:*") as archive:
        for member in archive:
            if len(lines) >= _MEMBERS or time.monotonic() > until:
                more = 1
                break
            lines.append(
                _row(member.size, member.name + (" -> " + member.linkname if member.linkname else ""))
            )
    return Preview(_("tar, its list"), lines=_cut(lines, len(lines) + more))


def _row(length: int, name: str) -> str:
    return f"{size(length):>10}  {safe(name)}"


def _cut(lines: list[str], count: int) -> list[str]:
    return [*lines, _("and more")] if count > len(lines) else lines
