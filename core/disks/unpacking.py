"""Unpacking a compressed image that cannot be read in place: into the session's folder, with holes."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from core.command import Command
from core.disks.header import Damaged, open_to_read
from core.disks.packed import Packing
from core.errors import Cancelled, NoSpace, SalvageError
from core.files.progress import Listener, Meter
from core.files.space import free
from core.i18n import _, sentences
from core.runner import CommandFailed, Runner
from core.text import safe, size
from core.undo.pairs import FileKind, Pair
from core.undo.stack import Stack

_PIECE = 1 << 20
_HOLE = 64 << 10
_RESERVE = 256 << 20
"""Bytes that stay free where it is unpacked."""
_LOOK_EVERY = 64 << 20

_BY_HAND: dict[Packing, str] = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}
_SCRIPT = '"$1" --decompress --stdout "$2" > "$3"'


def unpack(
    stack: Stack, path: Path, kind: Packing, place: Path, known: int | None, listener: Listener | None
) -> tuple[str, ...]:
    """Unpack the file at `path` to `place`, on the undo stack; what must be known of the result.

    `known` is its length in bytes where the file tells it. A file that ends too early, or is damaged,
    is unpacked as far as it goes. Raises `NoSpace` where it does not fit, and `Cancelled`.
    """
    runner = stack.runner
    make = Command(
        ("sh", "-c", _SCRIPT, "sh", _BY_HAND[kind], str(path), str(place)),
        why=_(
            "Unpack the image: this kind of packing cannot be read in the middle. It goes with the session."
        ),
        effect=_("the unpacked image, a file in the state folder"),
        by_hand=True,
    )
    notes: list[str] = []

    def act(pair: Pair) -> None:
        nothing: tuple[str, ...] = ()
        work = partial(_unpacked, path, kind, place, known, listener, runner)
        notes.extend(runner.perform(pair.do, work, nothing))

    stack.put_up(Pair("file", make, str(place), facts=lambda: FileKind.facts(place)), act)
    return tuple(notes)


def _unpacked(
    path: Path, kind: Packing, place: Path, known: int | None, listener: Listener | None, runner: Runner
) -> tuple[str, ...]:
    _require_room(place, known if known is not None else path.stat().st_size)
    meter = Meter(listener or (lambda _progress: None), 1, known)
    meter.begin(os.fsencode(path.name), known or 0)
    with open(place, "xb") as out:
        writer = _Writer(out, place, meter, runner)
        try:
            if kind == "zst":
                _by_zstd(path, writer, runner)
            else:
                for piece in _pieces(path, kind):
                    writer.add(piece)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, CommandFailed) as error:
            told = _broken(path, writer.done, error)
        else:
            told = ()
        writer.end()
    if not writer.done:
        raise Damaged(
            _("Nothing could be unpacked from {path}.").format(path=safe(path)),
            _("The file is damaged or cut short; nothing was changed."),
            _("Get another copy of it."),
        )
    return told


def _broken(path: Path, done: int, error: Exception) -> tuple[str, ...]:
    if isinstance(error, CommandFailed) and error.result.stopped:
        raise error
    return (
        _("{path} is damaged or cut short: only the first {size} could be unpacked.").format(
            path=safe(path), size=size(done)
        ),
    )


def _pieces(path: Path, kind: Packing) -> Iterator[bytes]:
    fd = open_to_read(path)
    os.set_blocking(fd, True)
    with open(fd, "rb") as file, _opened(file, kind) as plain:
        try:
            # read1 gives what there is; read would throw away what came before an error
            while piece := plain.read1(_PIECE):
                yield piece
        except OSError as error:
            if isinstance(error, gzip.BadGzipFile) or error.errno is None:
                raise EOFError from error
            raise SalvageError(
                _("Cannot read {path}: {reason}.").format(path=safe(path), reason=error.strerror)
            ) from error


def _opened(file: IO[bytes], kind: Packing) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    if kind == "gz":
        return gzip.GzipFile(fileobj=file)
    return bz2.BZ2File(file) if kind == "bz2" else lzma.LZMAFile(file)


def _by_zstd(path: Path, writer: "_Writer", runner: Runner) -> None:
    command = Command(
        ("zstd", "--decompress", "--stdout", "--quiet", "--", str(path)),
        why=_("Unpack the image; what comes out is written by this program."),
        limits=None,
    )
    runner.run(command, hear=writer.add)


class _Writer:
    """Writes what comes, with holes for zeros, as long as there is room."""

    def __init__(self, out: IO[bytes], place: Path, meter: Meter, runner: Runner) -> None:
        self._out, self._place, self._meter, self._runner = out, place, meter, runner
        self.done = 0
        self._look_at = 0

    def add(self, piece: bytes) -> None:
        self._runner.cancel.check()
        if self.done >= self._look_at:
            _require_room(self._place, 0)
            self._look_at = self.done + _LOOK_EVERY
        for at in range(0, len(piece), _HOLE):
            part = piece[at : at + _HOLE]
            if part.count(0) == len(part):
                self._out.seek(len(part), os.SEEK_CUR)
            else:
                self._out.write(part)
        self.done += len(piece)
        self._meter.add(len(piece))

    def end(self) -> None:
        self._out.flush()
        self._out.truncate(self.done)
        with suppress(Cancelled):
            self._meter.end()


def _require_room(place: Path, need: int) -> None:
    """Raise `NoSpace` where less than that and a reserve is free."""
    room = free(place.parent)
    if need + _RESERVE > room:
        raise NoSpace(
            sentences(
                (
                    _("There is too little room to unpack the image in {path}: {free} are free.").format(
                        path=safe(place.parent), free=size(room)
                    ),
                    _("It wants {need}.").format(need=size(need)) if need else "",
                )
            ),
            _("What was unpacked is gone again; the packed image is untouched."),
            _("Make room there, or choose another place with --state-dir."),
        )
