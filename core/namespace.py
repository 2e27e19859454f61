"""A private mount namespace for the thread that does the work, as long as a volume is open.

Mounts made in it are seen by this thread and the programs that it starts, by nobody else: nobody can
keep them busy, and when the thread is gone, also by SIGKILL, the kernel takes the mounts down itself.
Mounts that the host makes later still arrive (slave propagation), so a backup target plugged in during
the work can be used. See mount_namespaces(7), unshare(2), setns(2).

No daemon that serves a mount may live in it. When all are killed, the last process in a namespace takes
its mounts down while it ends, before it lets go of its files (do_exit in the kernel's exit.c): a daemon
would wait for an answer from itself, for ever. So exports are started before the namespace is entered.

A namespace begins with a copy of every mount there is. Where unmounts do not propagate, as in containers,
such a copy would keep a loop device of another session up. So threads in it bear a name (`MARK`), by which
any session finds the copies of what it takes down (`private`) and takes them down as well (`let_go`).
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core import mounts
from core.command import Command
from core.i18n import _
from core.runner import Runner

_CLONE_FS = 0x00000200
_CLONE_NEWNS = 0x00020000
_MS_REC = 1 << 14
_MS_SLAVE = 1 << 19
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8
_LOOPS = ("/dev/loop", "/dev/mapper/loop")
_GUARDS = frozenset({"ro", "nosuid", "nodev", "noexec"})
MARK = "virt-salvage-ns"
"""The name of threads in a private namespace: as long as a name can be, see PR_SET_NAME(2const)."""

_outside = threading.local()
"""What leads the calling thread back: descriptors of the host's namespace and of the working directory."""


@dataclass(frozen=True, slots=True)
class Private:
    """A private mount namespace of a session of this program."""

    witness: str
    """A thread that lives in it, as `/proc` names it: ``12/task/13``."""
    mounts: tuple[mounts.Mount, ...]


def _libc_call(name: str, *arguments: object) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def _enter() -> None:
    host = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _libc_call("unshare", _CLONE_NEWNS)
    _libc_call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_SLAVE), None)
    _outside.descriptors = (host, folder)
    _outside.name = _rename(MARK)
    for mount in reversed(mounts.mounts()):
        if not _of_a_session(mount):
            continue
        with suppress(OSError):  # it went away while we looked
            _libc_call("umount2", os.fsencode(mount.point), _MNT_DETACH | _UMOUNT_NOFOLLOW)


def _of_a_session(mount: mounts.Mount) -> bool:
    """Whether it is mounted as this program mounts a volume: a copy of what another session has up.

    A copy would keep the loop device up after that session has unmounted it, on hosts where unmounts do
    not propagate, as in containers. What can be written to stays: it may be the target of a copy, and if it
    is not, `let_go` takes it down when its session does.
    """
    return mount.source.startswith(_LOOPS) and set(mount.options.split(",")) >= _GUARDS


def _rename(name: str) -> str:
    """Give the calling thread another name; the one that it had."""
    comm = Path("/proc/thread-self/comm")
    before = comm.read_text().rstrip("\n")
    comm.write_text(name)
    return before


def _leave() -> None:
    host, folder = _outside.descriptors
    _libc_call("setns", host, _CLONE_NEWNS)
    _rename(_outside.name)
    os.fchdir(folder)
    for descriptor in (host, folder):
        os.close(descriptor)
    _outside.descriptors = None


def apart() -> None:
    """Give the calling helper thread a root and working directory of its own.

    A thread shares them with the one that started it, and as long as they are shared, that one cannot go
    back to the host's mount namespace: setns(2), EINVAL. Where this is not allowed, that is not either.
    """
    with suppress(OSError):
        _libc_call("unshare", _CLONE_FS)


def entered() -> bool:
    """Whether the calling thread lives in a private mount namespace."""
    return bool(getattr(_outside, "descriptors", None))


STEP_IN = ("unshare", "--mount", "--propagation", "slave", "sh")
"""What one would type to get there."""


def possible(runner: Runner) -> bool:
    """Whether a private mount namespace can be had: asked of a program that tries it and ends.

    unshare(2) wants CAP_SYS_ADMIN, and in a chroot whose root is no mount point the propagation cannot
    be changed; then mounts would be seen by everybody, but under other ids.
    """
    if os.geteuid() != 0:
        return False
    trial = Command(
        ("unshare", "--mount", "--propagation", "slave", "true"),
        why=_("See whether mounts can be kept to this program alone."),
        good=frozenset(range(256)),
    )
    return runner.run(trial).status == 0


def enter(runner: Runner) -> None:
    """Give the calling thread a private mount namespace, if it has none, without other sessions' volumes."""
    if entered():
        return
    runner.perform(
        Command(
            STEP_IN,
            why=_("Work where only this program sees the mounts: nobody can keep them busy."),
            effect=_("a private mount namespace, which the kernel removes when this program ends"),
            undo=(Command(("exit",), why=_("Leave the private mount namespace.")),),
            by_hand=True,
        ),
        _enter,
        planned=None,
    )


def leave() -> None:
    """Go back to the host's mount namespace; the kernel takes down what is left in the private one."""
    if entered():
        _leave()


@contextmanager
def outside() -> Iterator[None]:
    """For a moment in the host's mount namespace: there also what other sessions have mounted is seen."""
    if not entered():
        yield
        return
    host, folder = _outside.descriptors
    inside = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _libc_call("setns", host, _CLONE_NEWNS)
        os.fchdir(folder)
        try:
            yield
        finally:
            _libc_call("setns", inside, _CLONE_NEWNS)
            os.fchdir(here)
    finally:
        os.close(inside)
        os.close(here)


def private() -> Iterator[Private]:
    """The private namespaces of other sessions, as far as they can be seen."""
    seen = {os.stat("/proc/thread-self/ns/mnt").st_ino}
    for witness in _threads():
        with suppress(OSError):  # it has ended, or may not be looked at
            folder = Path("/proc", witness)
            if (folder / "comm").read_text() != f"{MARK}\n":
                continue
            inode = os.stat(folder / "ns/mnt").st_ino
            if inode not in seen:
                seen.add(inode)
                yield Private(witness, tuple(mounts.mounts(witness)))


def _threads() -> Iterator[str]:
    """All threads that can be seen, as `/proc` names them."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # it ended while we looked
            yield from [f"{process}/task/{thread}" for thread in os.listdir(f"/proc/{process}/task")]


def let_go(space: Private, point: str) -> Command:
    """The command that takes down a mount in another namespace, if nobody uses it there: nsenter(1)."""
    return Command(
        ("nsenter", f"--mount=/proc/{space.witness}/ns/mnt", "umount", point),
        why=_("Take down the copy of this mount that another session has where only it sees its mounts."),
        effect=_("the copy is gone, unless that session uses it"),
        good=frozenset(range(256)),
    )
