"""What the target could not keep, one JSON object a line, to be applied later: see `core.files.applying`.

Each line has the path below the folder and everything that the entry had in the guest: kind, mode, owner,
times, attributes, flags, project, the target of a link, the numbers of a device, its name.
"""

import base64
import json
import os
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any

from core.files.entry import kind_of, named
from core.files.inodeflags import NONE, InodeFlags
from core.files.manifest import candidates
from core.files.metadata import Handle, listed
from core.files.target import Target

NAME = b"salvage-metadata.jsonl"
_MARK = {"virt-salvage": "metadata", "version": 1}


def described(
    path: bytes,
    status: os.stat_result,
    source: Handle | None,
    lost: Collection[str],
    *,
    flags: InodeFlags = NONE,
    target: bytes | None = None,
    name: bytes | None = None,
    same_as: bytes | None = None,
) -> dict[str, object]:
    """Everything that an entry had, as a line of the sidecar.

    `path` is where it is, or should be, below the folder; `source` where its attributes are read; `target`
    what a link says; `name` what it is called in the guest; `same_as` the path of the first name of a file.
    """
    fields: dict[str, object] = {
        **_coded("path", path),
        "kind": kind_of(status.st_mode),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "atime_ns": status.st_atime_ns,
        "mtime_ns": status.st_mtime_ns,
        "lost": list(lost),
    }
    if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
        fields["device"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    if source is not None and (attributes := _attributes(source)):
        fields["attributes"] = attributes
    if flags != NONE:
        fields |= {"flags": list(flags.names), "project": flags.project}
    for key, value in (("target", target), ("name", name), ("same_as", same_as)):
        if value is not None:
            fields |= _coded(key, value)
    return fields


def _coded(key: str, value: bytes) -> dict[str, str]:
    """Bytes as text, with their exact form in base64 where the text does not have it."""
    fields = named(key, value)
    if any(ord(char) < 32 for char in fields[key]):
        fields[f"{key}_b64"] = base64.b64encode(value).decode("ascii")
    return fields


def decoded(fields: Mapping[str, Any], key: str) -> bytes | None:
    """The bytes under a key; None where there are none. Raises ValueError, TypeError."""
    exact = fields.get(f"{key}_b64")
    if exact is not None:
        return base64.b64decode(exact, validate=True)
    text = fields.get(key)
    return None if text is None else text.encode("utf-8")


def _attributes(source: Handle) -> dict[str, str]:
    follow = isinstance(source, int)
    found: dict[str, str] = {}
    with suppress(OSError):
        for name in listed(source):
            with suppress(OSError):
                value = os.getxattr(source, name, follow_symlinks=follow)
                key = name.encode("utf-8", "surrogateescape").decode("latin-1")
                found[key] = base64.b64encode(value).decode("ascii")
    return found


def attribute_name(key: str) -> bytes:
    """The name of an attribute from the key of a line. Raises ValueError."""
    return key.encode("latin-1")


class Spool:
    """The lines of a sidecar that will be a member of an archive, in a file without a name until then."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    def add(self, fields: Mapping[str, object]) -> None:
        """Note an entry. Raises OSError."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
            self._file.write(_line(_MARK))
        self._file.write(_line(fields))

    def lines(self) -> IO[bytes] | None:
        """All lines; None where there is none."""
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Sidecar:
    """Written beside the unfinished copy, under a temporary name until it is whole."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._temporary = target.temporary()
        # With nothing from an earlier copy there is nothing to tell apart from what this one tells
        self._counts = target.holds(NAME)
        self._sink: IO[bytes] | None = None
        self._tops: set[bytes] = set()

    def top(self, name: bytes) -> None:
        """What stands below this name at the top is told anew by this copy."""
        if self._counts:
            self._tops.add(name)

    def add(self, fields: Mapping[str, object]) -> None:
        """Note an entry. Raises OSError of the target."""
        self._open().write(_line(fields))

    def _open(self) -> IO[bytes]:
        if self._sink is None:
            fd = os.open(self._temporary, self._target.NEW_FILE, 0o600, dir_fd=self._target.root)
            self._sink = os.fdopen(fd, "wb", buffering=1 << 18)
            self._sink.write(_line(_MARK))
        return self._sink

    def finish(self, guests: Collection[bytes]) -> bytes | None:
        """Put it in its place, with what an earlier copy told of other things; its name, None if empty.

        `guests` are the names at the top that came from the guest. Raises OSError.
        """
        name, earlier = self._place(guests)
        if earlier is not None:
            with earlier:
                for text, fields in _read(earlier):
                    path = decoded(fields, "path")
                    if path is not None and path.split(b"/")[0] not in self._tops:
                        self._open().write(text)
        if self._sink is None:
            if earlier is not None:
                os.unlink(name, dir_fd=self._target.root)
            return None
        self._sink.close()
        os.rename(self._temporary, name, src_dir_fd=self._target.root, dst_dir_fd=self._target.root)
        return name

    def abandon(self) -> None:
        """Take the unfinished one away."""
        if self._sink is not None:
            with suppress(OSError):
                self._sink.close()
            self._target.remove_top(self._temporary)

    def _place(self, guests: Collection[bytes]) -> tuple[bytes, IO[bytes] | None]:
        for name in candidates(NAME):
            if name in guests:
                continue
            try:
                file = self._target.open_top(name)
            except FileNotFoundError:
                return name, None
            except OSError:
                continue
            if is_sidecar(file.readline(1 << 16)):
                return name, file
            file.close()
        raise AssertionError


def is_sidecar(first: bytes) -> bool:
    """Whether a file that begins with this line is one of these."""
    with suppress(ValueError):
        mark = json.loads(first)
        return isinstance(mark, dict) and mark.get("virt-salvage") == "metadata"
    return False


def _read(file: IO[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each line with what it says; lines that say nothing are passed over."""
    for text in file:
        with suppress(ValueError):
            fields = json.loads(text)
            if isinstance(fields, dict) and ("path" in fields or "path_b64" in fields):
                yield text, fields


def entries(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """What the lines of a sidecar say."""
    return (fields for _text, fields in _read(file))


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields).encode("ascii") + b"\n"
