"""Where an archive is written to: a file of the host that is whole or not there, or a stream."""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from core.errors import AlreadyThere, Refused, SalvageError
from core.files.choices import Verify
from core.files.content import CHUNK
from core.files.destination import Shape
from core.files.estimate import Estimate
from core.files.kernel import flush, rename_new
from core.files.space import check_space
from core.files.target import PART, make_folders
from core.files.verify import Verified, seconds_for
from core.i18n import _
from core.text import safe

if TYPE_CHECKING:
    import zstandard

_LEVEL = 3
"""zstd's own usual level."""
_MEMBER = 2048
"""Bytes that a member takes beside its content, in a tar with pax headers."""


class _Counted:
    """A file that is hashed as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._checksum = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        self._checksum.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self.size

    def hexdigest(self) -> str:
        return self._checksum.hexdigest()


class ArchiveFile:
    """A tar, a tar packed by zstd, or a zip."""

    def __init__(self, path: Path, shape: Shape, *, packed: bool, replace: bool) -> None:
        """`packed`: by zstd. `replace` what bears the name; else that is refused. Raises `Refused`."""
        self.path = path
        self.shape = shape
        self._packed = packed
        self._replace = replace
        self._part = path.with_name(os.fsdecode(PART) + path.name)
        self._out: _Counted | None = None
        self._squeezer: zstandard.ZstdCompressionWriter | None = None
        if os.path.lexists(path) and not replace:
            raise AlreadyThere(
                _("{path} is there already and is not replaced.").format(path=safe(path)),
                _("Nothing was written."),
                _("Choose another name, or have what is there replaced."),
            )

    def check_space(self, expected: Estimate) -> None:
        """Raise `NoSpace` where it cannot fit; what is packed may turn out smaller and is let try."""
        if not self._packed and self.shape == "tar":
            need = expected.allocated + expected.entries * _MEMBER // 2
            check_space(need, self.path, expected.apparent)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The unfinished file; it is gone when what is done with it fails. Raises OSError, `SalvageError`."""
        make_folders(self.path.parent)
        file = open(self._part, "ab")  # noqa: SIM115 - closed below
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(
                    _("Another copy into {path} is going on.").format(path=safe(self.path)),
                    _("Nothing was written."),
                ) from None
            os.ftruncate(file.fileno(), 0)
            os.fchmod(file.fileno(), 0o600)
            self._out = _Counted(file)
            self._file = file
            try:
                with self._squeezed(self._out) as sink:
                    yield sink
            finally:
                # Its threads end with it; they share with this one what a mount namespace hangs on
                self._squeezer = None
                if self._part.exists():
                    self._part.unlink()
        finally:
            file.close()

    @contextmanager
    def _squeezed(self, out: _Counted) -> Iterator[IO[bytes]]:
        if not self._packed:
            yield out  # type: ignore[misc]
            return
        import zstandard

        compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=-1, write_checksum=True)
        self._squeezer = compressor.stream_writer(out, closefd=False)  # type: ignore[arg-type]
        yield self._squeezer

    def finish(
        self, lines: IO[bytes], verify: Verify, took: float, check: Callable[[], None]
    ) -> tuple[Path, Verified]:
        """Flush it, read it back, give it its name; where its checksums lie.

        Raises OSError, `SalvageError`.
        """
        assert self._out
        if self._squeezer is not None:
            self._squeezer.close()  # type: ignore[no-untyped-call]
        self._file.flush()
        os.fsync(self._file.fileno())
        verified = self._read_back(self._out, verify, took, check)
        manifest = self.path.with_name(self.path.name + ".SHA256SUMS")
        _put(manifest, lines)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            part, name = os.fsencode(self._part.name), os.fsencode(self.path.name)
            if self._replace:
                os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)
            else:
                rename_new(directory, part, name)
            flush(directory)
        finally:
            os.close(directory)
        return manifest, verified

    def _read_back(self, out: _Counted, verify: Verify, took: float, check: Callable[[], None]) -> Verified:
        done = Verified()
        if verify == "none":
            return done
        until = time.monotonic() + (seconds_for(took) if verify == "fits" else float("inf"))
        checksum = hashlib.sha256()
        with open(self._part, "rb", buffering=0) as file:
            with suppress(OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := file.read(CHUNK):
                check()
                if time.monotonic() > until:
                    return done
                checksum.update(piece)
        if checksum.hexdigest() != out.hexdigest():
            raise SalvageError(
                _("What the target gives back of {path} is not what was written to it.").format(
                    path=safe(self.path)
                ),
                _("The archive was removed; the disk is untouched."),
                _("Do not trust this target: its medium or its memory is failing."),
            )
        return Verified(files=1, size=out.size, whole=True)


class Stream:
    """A tar on an open descriptor, such as standard output."""

    shape: Shape = "tar"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.path = Path("-")

    def check_space(self, _expected: Estimate) -> None:
        """Nobody can tell what is at the other end."""

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The descriptor as a file; it stays the caller's."""
        with open(os.dup(self._descriptor), "wb", buffering=CHUNK) as file:
            self._file = file
            try:
                yield file
            except BaseException:
                # What is still in the buffer must not look like the end of an archive
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
                raise

    def finish(
        self, _lines: IO[bytes], _verify: Verify, _took: float, _check: Callable[[], None]
    ) -> tuple[Path, Verified]:
        """The checksums are in the stream; nothing can be read back. Raises OSError."""
        self._file.flush()
        return self.path, Verified()


def _put(path: Path, data: IO[bytes]) -> None:
    part = path.with_name(os.fsdecode(PART) + path.name)
    with suppress(FileNotFoundError):
        part.unlink()
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as sink:
        data.seek(0)
        shutil.copyfileobj(data, sink)
        sink.flush()
        os.fsync(sink.fileno())
    os.rename(part, path)
