"""Gives copies what their first target could not keep: the sidecar's lines, applied where they lie now."""

import base64
import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.cancel import CancelToken
from core.errors import SalvageError
from core.files.inodeflags import InodeFlags, set_flags
from core.files.kernel import rename_new
from core.files.metadata import CAPABILITIES, beside, has_attribute
from core.files.outcome import Lost
from core.files.sidecar import NAME, attribute_name, decoded, entries, is_sidecar
from core.files.trail import LIST, SEARCH, descend
from core.i18n import _
from core.text import safe

_TYPES = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
}
_RIGHTS = stat.S_ISUID | stat.S_ISGID
_PART = b".virt-salvage-part-applied"
_CHUNK = 1 << 20
_BAD_LINE = (ValueError, TypeError, KeyError, OverflowError, AttributeError)


@dataclass(slots=True)
class Applied:
    """What came of it. `left` are entries that still lack something."""

    done: int = 0
    left: list[Lost] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return {
            "applied": self.done,
            "left": [{"path": os.fsdecode(one.path), "what": one.what} for one in self.left],
        }


def apply(
    sidecar: Path, folder: Path, cancel: CancelToken, *, privileges: bool = False, devices: bool = False
) -> Applied:
    """Apply `sidecar`, a file or the folder that holds one, to the copies in `folder`.

    No link is followed, nothing outside of `folder` is touched. Setuid, setgid, capabilities and flags are
    given with `privileges` only, device nodes made with `devices` only. Raises `SalvageError`, `Cancelled`.
    """
    place = sidecar / os.fsdecode(NAME) if sidecar.is_dir() else sidecar
    applied = Applied()
    try:
        with open(place, "rb") as lines:
            if not is_sidecar(lines.readline(1 << 16)):
                raise SalvageError(
                    _("{path} is no list of what a target could not keep.").format(path=safe(place)),
                    _("Nothing was changed."),
                )
            root = os.open(folder, LIST)
            try:
                for fields in entries(lines):
                    cancel.check()
                    _one(root, fields, applied, privileges, devices)
            finally:
                os.close(root)
    except OSError as error:
        raise SalvageError(
            _("Cannot apply {path} to {folder}: {reason}.").format(
                path=safe(place), folder=safe(folder), reason=safe(os.strerror(error.errno or 0))
            ),
            _("{count} entries were done.").format(count=applied.done),
        ) from error
    return applied


def _one(root: int, fields: Mapping[str, Any], applied: Applied, privileges: bool, devices: bool) -> None:
    path = b"?"
    try:
        path = decoded(fields, "path") or b""
        above, _slash, name = path.rpartition(b"/")
        _require_names(path.split(b"/"))
        parent = descend(root, above, SEARCH)
        try:
            before = os.stat(b".", dir_fd=parent)
            left = _Entry(root, parent, name, fields, privileges, devices).apply()
            with suppress(OSError):
                os.utime(b".", ns=(before.st_atime_ns, before.st_mtime_ns), dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        left = [_("The system says: {reason}.").format(reason=safe(os.strerror(error.errno or 0)))]
    except _BAD_LINE:
        left = [_("Its line in the list is damaged.")]
    applied.left += [Lost(path, what) for what in left]
    applied.done += not left


def _require_names(names: list[bytes]) -> None:
    if any(name in (b"", b".", b"..") or b"\0" in name or b"/" in name for name in names):
        raise ValueError


class _Entry:
    """One line and the entry that it is about."""

    def __init__(
        self, root: int, parent: int, name: bytes, fields: Mapping[str, Any], privileges: bool, devices: bool
    ) -> None:
        self._root, self._parent, self._name, self._fields = root, parent, name, fields
        self._privileges, self._devices = privileges, devices
        self._kind = _TYPES[fields["kind"]]
        self._left: list[str] = []

    def apply(self) -> list[str]:
        """Do all that can be done; what is still missing, as sentences."""
        true = decoded(self._fields, "name")
        if true is not None:
            _require_names([true])
            self._rename(true)
        if not self._is_there() and not self._make():
            return self._left
        first = decoded(self._fields, "same_as")
        if first is not None:
            self._join(first)
        self._give()
        return self._left

    def _rename(self, true: bytes) -> None:
        try:
            rename_new(self._parent, self._name, true)
        except FileNotFoundError:
            # Renamed by an earlier call, or not made at all
            self._name = true
        except OSError as error:
            self._failed(
                _("It could not be called {name}: {reason}.").format(name=safe(true), reason=_why(error))
            )
        else:
            self._name = true

    def _is_there(self) -> bool:
        try:
            status = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if stat.S_IFMT(status.st_mode) != self._kind:
            raise FileExistsError(17, os.strerror(17))
        return True

    def _make(self) -> bool:
        kind, here = self._kind, self._parent
        if kind == stat.S_IFLNK:
            os.symlink(decoded(self._fields, "target") or b"", self._name, dir_fd=here)
        elif kind in (stat.S_IFIFO, stat.S_IFSOCK):
            os.mknod(self._name, kind | 0o600, dir_fd=here)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK) and self._devices:
            major, minor = self._fields["device"]
            os.mknod(self._name, kind | 0o600, os.makedev(major, minor), dir_fd=here)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            self._failed(_("The device node was not made; --devices makes it."))
            return False
        else:
            self._failed(_("It is not there any more."))
            return False
        return True

    def _join(self, first: bytes) -> None:
        """Make it one file with `first` again, if both still have the same content."""
        _require_names(first.split(b"/"))
        above, _slash, last = first.rpartition(b"/")
        other = descend(self._root, above, SEARCH)
        try:
            if not _same_content(other, last, self._parent, self._name):
                self._failed(_("It was one file with {path}; now they differ.").format(path=safe(first)))
                return
            with suppress(FileNotFoundError):
                os.unlink(_PART, dir_fd=self._parent)
            try:
                os.link(last, _PART, src_dir_fd=other, dst_dir_fd=self._parent, follow_symlinks=False)
                os.rename(_PART, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
            except OSError as error:
                self._failed(
                    _("It was one file with {path}: {reason}.").format(path=safe(first), reason=_why(error))
                )
        finally:
            os.close(other)

    def _give(self) -> None:
        fields, here, name = self._fields, self._parent, self._name
        mode = int(fields["mode"], 8)
        if mode & _RIGHTS and not self._privileges and self._kind != stat.S_IFDIR:
            mode &= ~_RIGHTS
            self._failed(_("Setuid and setgid were left out; --privileges gives them."))
        with suppress(PermissionError):
            os.chown(name, int(fields["uid"]), int(fields["gid"]), dir_fd=here, follow_symlinks=False)
        self._attributes()
        if self._kind != stat.S_IFLNK:
            self._chmod(mode)
        times = (int(fields["atime_ns"]), int(fields["mtime_ns"]))
        with suppress(PermissionError):
            os.utime(name, ns=times, dir_fd=here, follow_symlinks=False)
        now = os.stat(name, dir_fd=here, follow_symlinks=False)
        if (now.st_uid, now.st_gid) != (fields["uid"], fields["gid"]):
            self._failed(_("The owner was {uid}:{gid}.").format(uid=fields["uid"], gid=fields["gid"]))
        if self._kind != stat.S_IFLNK and stat.S_IMODE(now.st_mode) != mode:
            self._failed(_("The mode was {mode}.").format(mode=f"{mode:04o}"))
        if now.st_mtime_ns != times[1]:
            self._failed(_("This file system cannot keep its time either."))
        self._flags()

    def _chmod(self, mode: int) -> None:
        fd = os.open(self._name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._parent)
        try:
            if stat.S_IFMT(os.fstat(fd).st_mode) == self._kind:
                with suppress(PermissionError):
                    os.chmod(b"/proc/self/fd/%d" % fd, mode)
        finally:
            os.close(fd)

    def _attributes(self) -> None:
        place = beside(self._parent, self._name)
        for key, text in self._fields.get("attributes", {}).items():
            attribute, value = attribute_name(key), base64.b64decode(text, validate=True)
            if attribute == CAPABILITIES.encode() and not self._privileges:
                self._failed(_("Its capabilities were left out; --privileges gives them."))
                continue
            shown = os.fsdecode(attribute)
            if has_attribute(place, shown, value):
                continue
            try:
                os.setxattr(place, attribute, value, follow_symlinks=False)
            except OSError as error:
                self._failed(
                    _("The target did not take the attribute {name}: {reason}.").format(
                        name=safe(attribute), reason=_why(error)
                    )
                )

    def _flags(self) -> None:
        wanted = InodeFlags(tuple(self._fields.get("flags", ())), int(self._fields.get("project", 0)))
        if wanted == InodeFlags() or self._kind not in (stat.S_IFREG, stat.S_IFDIR):
            return
        if not self._privileges:
            self._failed(_("Its flags and its project were left out; --privileges gives them."))
            return
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(self._name, flags, dir_fd=self._parent)
        try:
            if not set_flags(fd, wanted):
                self._failed(_("This file system does not take its flags or its project."))
        finally:
            os.close(fd)

    def _failed(self, sentence: str) -> None:
        self._left.append(sentence)


def _same_content(one_at: int, one: bytes, other_at: int, other: bytes) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with ExitStack() as stack:
        left = stack.enter_context(open(os.open(one, flags, dir_fd=one_at), "rb"))
        right = stack.enter_context(open(os.open(other, flags, dir_fd=other_at), "rb"))
        while (piece := left.read(_CHUNK)) == right.read(_CHUNK):
            if not piece:
                return True
    return False


def _why(error: OSError) -> str:
    return safe(os.strerror(error.errno or 0))
