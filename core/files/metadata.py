"""Owner, mode, times, extended attributes and ACLs, from an entry of the guest to its copy.

POSIX ACLs are the attributes ``system.posix_acl_access`` and ``system.posix_acl_default``, see acl(5)
and xattr(7). The order matters: a change of owner takes away setuid, setgid and file capabilities
(chown(2)), so the owner comes first; everything changes ctime, and nothing mtime, so times come last.
"""

import errno
import os
import stat
from types import TracebackType

from core.files.entry import iso_time
from core.files.unread import why
from core.i18n import _
from core.text import safe

_NO_ATTRIBUTES = frozenset({errno.EOPNOTSUPP, errno.ENOSYS})
_BROKEN = frozenset({errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN})
_US = (os.geteuid(), os.getegid())
"""Whom new files belong to in a folder that this program made."""
_LENDS_RIGHTS = stat.S_ISUID | stat.S_ISGID
CAPABILITIES = "security.capability"
_OURS = ("user.", "trusted.", "system.posix_acl_", "security.capability")
"""Attributes that are taken away where the guest has none; labels of the host's own policy stay."""
_OWNER = frozenset({"$LXUID", "$LXGID", "$LXMOD"})
_TOLD = _OWNER | {"$LXDEV"}
"""Where ntfs3 keeps owner, mode and device number, and where all three of the first are, it tells them as
such too. No other file system takes these names: linux/fs/ntfs3/xattr.c, ntfs_get_wsl_perm."""

Handle = int | bytes
"""A descriptor, or a path through ``/proc/self/fd`` whose last part is not followed."""


class _Attempt:
    """A change that the target may refuse: `compare` looks afterwards and tells what is missing."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, OSError) and error.errno not in _BROKEN


_ATTEMPT = _Attempt()


def beside(directory: int, name: bytes) -> bytes:
    """A path to `name` in an open directory, for calls that take no directory descriptor."""
    return b"/proc/self/fd/%d/%s" % (directory, name)


def keep(
    source: int | None,
    target: int,
    status: os.stat_result,
    fresh: bool = False,
    privileges: bool = False,
) -> list[str]:
    """Give the open file or directory `target` what `source` has; sentences about what was not kept.

    `source` None: only what `status` says is known. `fresh` says that `target` has just been made
    where nothing is inherited from a default ACL, so that it has no attributes to take away. Without
    `privileges` a file gets no setuid, setgid and capabilities. Raises OSError when the target itself is
    broken.
    """
    lost = give(source, target, status, fresh, privileges)
    compare(status, os.fstat(target), lost)
    return lost


def give(source: int | None, target: int, status: os.stat_result, fresh: bool, privileges: bool) -> list[str]:
    """The same without the last look at what the target really has: `compare` tells that."""
    lost: list[str] = []
    if not fresh or (status.st_uid, status.st_gid) != _US:
        with _ATTEMPT:
            os.fchown(target, status.st_uid, status.st_gid)
    if source is not None:
        _attributes(source, target, fresh, privileges, lost)
    mode = stat.S_IMODE(status.st_mode)
    if mode & _LENDS_RIGHTS:
        mode = _allowed_mode(status, os.fstat(target), privileges)
    with _ATTEMPT:
        os.fchmod(target, mode)
    with _ATTEMPT:
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return lost


def keep_named(source: tuple[int, bytes], target: tuple[int, bytes], status: os.stat_result) -> list[str]:
    """The same for links, pipes and sockets, each a name in an open directory; no link is followed.

    Raises OSError when the target is broken, gone, or has become something else.
    """
    lost: list[str] = []
    directory, name = target
    with _ATTEMPT:
        os.chown(name, status.st_uid, status.st_gid, dir_fd=directory, follow_symlinks=False)
    _attributes(beside(*source), beside(*target), False, True, lost)
    if not stat.S_ISLNK(status.st_mode):
        _set_mode(directory, name, status)
    times = (status.st_atime_ns, status.st_mtime_ns)
    with _ATTEMPT:
        os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)
    compare(status, os.stat(name, dir_fd=directory, follow_symlinks=False), lost)
    return lost


def _set_mode(directory: int, name: bytes, status: os.stat_result) -> None:
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        now = os.fstat(fd)
        if stat.S_IFMT(now.st_mode) != stat.S_IFMT(status.st_mode):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        with _ATTEMPT:
            os.chmod(b"/proc/self/fd/%d" % fd, _allowed_mode(status, now, False))
    finally:
        os.close(fd)


def _allowed_mode(wanted: os.stat_result, now: os.stat_result, privileges: bool) -> int:
    """The guest's mode; without setuid or setgid where these would lend the rights of another owner.

    On a directory they lend nobody anything (inode(7)).
    """
    mode = stat.S_IMODE(wanted.st_mode)
    if not privileges and not stat.S_ISDIR(wanted.st_mode):
        mode &= ~_LENDS_RIGHTS
    if now.st_uid != wanted.st_uid:
        mode &= ~stat.S_ISUID
    if now.st_gid != wanted.st_gid:
        mode &= ~stat.S_ISGID
    return mode


def listed(handle: Handle) -> list[str]:
    """The names of the attributes that an entry has besides its owner and mode. Raises OSError."""
    names = os.listxattr(handle, follow_symlinks=isinstance(handle, int))
    return [name for name in names if name not in _TOLD] if names and _OWNER.issubset(names) else names


def _attributes(source: Handle, target: Handle, fresh: bool, privileges: bool, lost: list[str]) -> None:
    try:
        names = listed(source)
    except OSError as error:
        names = []
        if error.errno not in _NO_ATTRIBUTES:
            lost.append(
                _("Its extended attributes could not be read: {reason}.").format(reason=why(error.errno or 0))
            )
    if CAPABILITIES in names and not privileges:
        names.remove(CAPABILITIES)
        lost.append(_("Its capabilities were not given to the copy."))
    for name in names:
        _attribute(source, target, name, lost)
    if not fresh:
        take_away(target, frozenset(names), lost)


def _attribute(source: Handle, target: Handle, name: str, lost: list[str]) -> None:
    try:
        value = os.getxattr(source, name, follow_symlinks=isinstance(source, int))
    except OSError as error:
        sentence = _("The attribute {name} could not be read: {reason}.")
        lost.append(sentence.format(name=safe(name), reason=why(error.errno or 0)))
        return
    try:
        os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))
    except OSError as error:
        # "No space left" here means the room for attributes of one inode (ext4: one block), not the
        # disk; a disk that is really full will say so at the next byte of data.
        if error.errno in _BROKEN:
            raise
        if has_attribute(target, name, value):
            return
        sentence = _("The target did not take the attribute {name}: {reason}.")
        lost.append(sentence.format(name=safe(name), reason=safe(os.strerror(error.errno or 0))))


def has_attribute(handle: Handle, name: str, value: bytes) -> bool:
    """Whether an entry has the attribute with that value: a file that nobody may change has it already."""
    try:
        return os.getxattr(handle, name, follow_symlinks=isinstance(handle, int)) == value
    except OSError:
        return False


def take_away(target: Handle, wanted: frozenset[str], lost: list[str]) -> None:
    """Remove the attributes of `target` that are not `wanted`, such as an ACL that it inherited.

    What stays is added to `lost`. Raises OSError when the target is broken.
    """
    follow = isinstance(target, int)
    try:
        for name in listed(target):
            if name not in wanted and name.startswith(_OURS):
                os.removexattr(target, name, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _BROKEN:
            raise
        if error.errno not in _NO_ATTRIBUTES:
            sentence = _("An attribute that the guest does not have stayed on the copy: {reason}.")
            lost.append(sentence.format(reason=safe(os.strerror(error.errno or 0))))


def compare(wanted: os.stat_result, now: os.stat_result, lost: list[str]) -> None:
    """Look what the target really has: some file systems take a change and do not keep it."""
    if (wanted.st_uid, wanted.st_gid) != (now.st_uid, now.st_gid):
        lost.append(_("The owner was {uid}:{gid}.").format(uid=wanted.st_uid, gid=wanted.st_gid))
    if not stat.S_ISLNK(wanted.st_mode) and stat.S_IMODE(wanted.st_mode) != stat.S_IMODE(now.st_mode):
        lost.append(_mode_told(stat.S_IMODE(wanted.st_mode), stat.S_IMODE(now.st_mode)))
    if wanted.st_mtime_ns != now.st_mtime_ns:
        lost.append(_("The time of change was {time}.").format(time=iso_time(wanted.st_mtime_ns)))


def _mode_told(wanted: int, now: int) -> str:
    if wanted & ~_LENDS_RIGHTS == now:
        sentence = _("The mode was {mode}: setuid and setgid were not given to the copy.")
    else:
        sentence = _("The mode was {mode}.")
    return sentence.format(mode=f"{wanted:04o}")
