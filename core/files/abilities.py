"""What a target can keep of what a guest's files have: tried in a folder of our own there."""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.files.target import TRIAL, make_folders
from core.i18n import _, enumerated, ngettext
from core.text import safe

SUSPECTS = b'\x01\n"*:<>?\\|'
"""Characters that some file systems refuse in names; each is tried."""
_NUMBER = 123_456
_OLD, _NEW = -1_000_000_000, 5_000_000_000
_BIG = (4 << 30) + 1
_FICLONE = 0x40049409
# An ACL of version 2 with an entry for user 4242: include/uapi/linux/posix_acl_xattr.h
_ACL = bytes.fromhex(
    "0200000001000600ffffffff020004009210000004000400ffffffff10000600ffffffff20000400ffffffff"
)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a target can hold. The names of the fields say it."""

    owners: bool = True
    modes: bool = True
    attributes: tuple[str, ...] = ("user", "trusted", "security")
    """The families of extended attributes that it takes."""
    acls: bool = True
    symlinks: bool = True
    hard_links: bool = True
    pipes: bool = True
    nanoseconds: bool = True
    old_times: bool = True
    """Before 1970."""
    late_times: bool = True
    """After 2038."""
    holes: bool = True
    shares_blocks: bool = False
    big_files: bool = True
    """4 GiB and more."""
    tells_case_apart: bool = True
    refused: bytes = b""
    """Bytes that no name may have."""
    any_bytes: bool = True
    """Names that are no UTF-8."""
    dots_and_spaces: bool = True
    """Names that end in a dot or a space."""

    @property
    def any_name(self) -> bool:
        """Whether every name of a guest can be had."""
        return self.tells_case_apart and not self.refused and self.any_bytes and self.dots_and_spaces

    def missing(self) -> list[str]:
        """What it cannot keep, as words for a list."""
        families = [name for name in ("user", "trusted", "security") if name not in self.attributes]
        told = [
            (self.owners, _("owners")),
            (self.modes, _("modes")),
            (not families, _("extended attributes ({names})").format(names=enumerated(families))),
            (self.acls, _("access control lists")),
            (self.symlinks, _("symbolic links")),
            (self.hard_links, _("several names of one file")),
            (self.pipes, _("pipes and sockets")),
            (self.nanoseconds, _("times to the nanosecond")),
            (self.old_times, _("times before 1970")),
            (self.late_times, _("times after 2038")),
            (self.holes, _("holes in files")),
            (self.big_files, _("files of 4 GiB and more")),
            (self.tells_case_apart, _("names that differ in capital letters only")),
            (not self.refused, _("names with one of {these}").format(these=self._refused_told())),
            (self.any_bytes, _("names that are no UTF-8")),
            (self.dots_and_spaces, _("names that end in a dot or a space")),
        ]
        return [words for kept, words in told if not kept]

    def _refused_told(self) -> str:
        shown = " ".join(chr(byte) for byte in self.refused if byte > 32)
        control = _("control characters") if any(byte < 32 for byte in self.refused) else ""
        return enumerated(filter(None, (shown, control)))

    def sentence(self, dest: Path) -> str:
        """What a person should know before the copy; empty when the target keeps everything."""
        missing = self.missing()
        if not missing:
            return ""
        return ngettext(
            "{path} cannot keep this: {what}. What that concerns is listed and kept in {sidecar}.",
            "{path} cannot keep these: {what}. What that concerns is listed and kept in {sidecar}.",
            len(missing),
        ).format(path=safe(dest), what=_("; ").join(missing), sidecar="salvage-metadata.jsonl")


def abilities(dest: Path) -> Abilities:
    """What can be kept in `dest`; folders that are missing are made for the trial and taken away again.

    Raises OSError when nothing can be written there.
    """
    made = make_folders(dest)
    try:
        fd = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return probe(fd)
        finally:
            os.close(fd)
    finally:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()


def lacking(dest: Path) -> str:
    """What a person should know of the target `dest` before the copy; empty when it keeps everything."""
    try:
        return abilities(dest).sentence(dest)
    except OSError:
        return ""  # the copy itself meets the same error and tells it


def probe(target: int) -> Abilities:
    """What can be kept in an open folder. Raises OSError when nothing can be written there."""
    before = os.fstat(target)
    name = TRIAL + b"%d" % os.getpid()
    os.mkdir(name, 0o700, dir_fd=target)
    here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=target)
    try:
        return _Trial(here).result()
    finally:
        os.close(here)
        shutil.rmtree(name, dir_fd=target)
        with suppress(OSError):
            os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))


class _Trial:
    def __init__(self, here: int) -> None:
        self._here = here
        self._file(b"a")
        self._fd = os.open(b"a", os.O_RDWR | os.O_CLOEXEC, dir_fd=here)

    def result(self) -> Abilities:
        try:
            return Abilities(
                owners=self._owners(),
                modes=self._modes(),
                attributes=tuple(f for f in ("user", "trusted", "security") if self._attribute(f)),
                acls=self._tried(lambda: os.setxattr(self._fd, "system.posix_acl_access", _ACL)),
                symlinks=self._tried(lambda: os.symlink(b"a", b"link", dir_fd=self._here)),
                hard_links=self._tried(
                    lambda: os.link(b"a", b"again", src_dir_fd=self._here, dst_dir_fd=self._here)
                ),
                pipes=self._tried(lambda: os.mknod(b"pipe", stat.S_IFIFO | 0o600, dir_fd=self._here)),
                nanoseconds=self._time(1_000_000_007),
                old_times=self._time(_OLD * 10**9),
                late_times=self._time(_NEW * 10**9),
                holes=self._holes(),
                shares_blocks=self._shares(),
                # Only the seek: where there are no holes, to make a file that long would fill the target
                big_files=self._tried(lambda: os.lseek(self._fd, _BIG, os.SEEK_SET)),
                tells_case_apart=self._case(),
                refused=bytes(byte for byte in SUSPECTS if not self._name(b"x%cy" % byte)),
                any_bytes=self._name(b"\xff\xfe"),
                dots_and_spaces=self._name(b"dot.") and self._name(b"space "),
            )
        finally:
            os.close(self._fd)

    def _file(self, name: bytes) -> None:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._here))

    @staticmethod
    def _tried(act: Callable[[], object]) -> bool:
        try:
            act()
        except OSError as error:
            if error.errno == errno.EROFS:
                raise
            return False
        return True

    def _owners(self) -> bool:
        if not self._tried(lambda: os.fchown(self._fd, _NUMBER, _NUMBER)):
            return False
        return os.fstat(self._fd).st_uid == _NUMBER

    def _modes(self) -> bool:
        with suppress(OSError):
            os.fchmod(self._fd, 0o641)
        return stat.S_IMODE(os.fstat(self._fd).st_mode) == 0o641

    def _attribute(self, family: str) -> bool:
        return self._tried(lambda: os.setxattr(self._fd, family + ".virt-salvage", b"x"))

    def _time(self, moment: int) -> bool:
        with suppress(OSError):
            os.utime(self._fd, ns=(moment, moment))
        return os.fstat(self._fd).st_mtime_ns == moment

    def _holes(self) -> bool:
        os.ftruncate(self._fd, 1 << 20)
        os.pwrite(self._fd, b"x", (1 << 20) - 1)
        return os.fstat(self._fd).st_blocks * 512 < 1 << 19

    def _shares(self) -> bool:
        self._file(b"clone")
        fd = os.open(b"clone", os.O_RDWR | os.O_CLOEXEC, dir_fd=self._here)
        try:
            return self._tried(lambda: fcntl.ioctl(fd, _FICLONE, self._fd))
        finally:
            os.close(fd)

    def _case(self) -> bool:
        names = (b"A", "ä".encode(), "Ä".encode())
        return all(self._tried(partial(self._file, name)) for name in names)

    def _name(self, name: bytes) -> bool:
        """Whether a file of that name is there under that name afterwards."""
        if not self._tried(lambda: self._file(name)):
            return False
        return name in [os.fsencode(text) for text in os.listdir(self._here)]
