"""Mounting a volume: read-only without replay, or writable when every write lands in an overlay."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from core import namespace, tools
from core.command import Command
from core.disks.view import View
from core.errors import NotEmpty, Refused, SalvageError, ToolMissing
from core.i18n import _, sentences
from core.runner import CommandFailed
from core.text import safe
from core.undo.daemons import CouldNotStart, serve, tied
from core.undo.pairs import FileKind, MountKind, Pair
from core.undo.stack import Stack
from core.volumes import nbd, twins
from core.volumes.filesystems import FileSystem, known, only_read, reader
from core.volumes.kpartx import map_partitions
from core.volumes.loop import Device, attach, check_rights, release_with_mount
from core.volumes.model import Volume
from core.volumes.state import State

Way = Literal["loop", "kpartx", "nbd"]
"""How a partition becomes a block device."""

_GUARDS = "nosuid,nodev,noexec"


@dataclass(frozen=True, slots=True)
class Tree:
    """A mounted volume."""

    root: Path
    volume: Volume
    device: str
    writable: bool
    unchecked: bool = False
    """Whether damage had to be passed over to mount it: what is read may be wrong, and nobody notices."""
    instead: str = ""
    """The program that reads it because the kernel's driver refused to; empty for most."""

    @property
    def remark(self) -> str:
        """What is worth knowing of who reads it, as sentences; empty for most."""
        if not self.instead:
            return ""
        return _(
            "The kernel's own driver refused this {content}, so {program} reads it instead. It may be"
            " damaged: look through what was copied."
        ).format(content=self.volume.content, program=self.instead)


class NotMounted(SalvageError):
    """The kernel refused the file system, whatever it was told."""

    said = ""
    """Its words, for the middle of a sentence."""


def mount(
    stack: Stack,
    view: View,
    volume: Volume,
    point: Path,
    log: Path,
    *,
    way: Way,
    private: bool,
    tie: bool,
    writable: bool = False,
    state: State = State.LEFT,
    more: str = "",
    prepare: Callable[[Device], None] | None = None,
) -> Tree:
    """Attach the volume and mount it at `point`, which is made if missing.

    What a daemon that serves it says goes to `log`. `writable`, and any `state` but the first, only where
    the view is an overlay; `prepare` gets the device before it is mounted; `more` are options that only this
    mount wants. With `private` nobody but this program sees the mount, unless a daemon serves it; with `tie`
    such a daemon dies with this program. Raises SalvageError when there is nothing to mount, NeedsRoot for
    an ordinary user.
    """
    system = known(volume.content, volume.title, volume.lacking)
    twins.refuse_btrfs_twin(volume)
    if writable and (reason := only_read(volume.content)):
        raise Refused(reason, remedy=_("Mount it without --writable, or copy the files out."))
    check_rights(stack.runner.planning)
    who = reader(system)
    make_point(stack, point)
    device = attached(stack, view, volume, way, log.parent, tie=tie)
    if prepare:
        prepare(device)
    serve_it = partial(_by_daemon, stack, system, device, point, log, tie=tie, state=state)
    if who == "daemon":
        serve_it()
        return Tree(point, volume, device.path, writable)
    try:
        unchecked = by_kernel(
            stack, volume, device, point, private=private, writable=writable, state=state, more=more
        )
    except NotMounted as refusal:
        if not system.spare:
            raise
        _require_spare(system.spare, refusal)
        # no daemon may live in the private namespace: see `core.namespace`
        namespace.leave()
        serve_it(refusal)
        return Tree(point, volume, device.path, writable, instead=system.spare)
    if way == "loop":
        release_with_mount(stack, device.path)
    return Tree(point, volume, device.path, writable, unchecked)


def attached(stack: Stack, view: View, volume: Volume, way: Way, folder: Path, *, tie: bool) -> Device:
    """The volume as a block device. Raises NeedsRoot for an ordinary user.

    What a server of it needs lies in `folder`, the session's own; with `tie` it dies with this program.
    """
    check_rights(stack.runner.planning)
    if way == "nbd":
        return nbd.connect(stack, view, volume, folder, tie=tie)
    return attach(stack, view, volume) if way == "loop" else map_partitions(stack, view, volume)


def by_kernel(
    stack: Stack,
    volume: Volume,
    device: Device,
    point: Path,
    *,
    private: bool,
    writable: bool,
    state: State,
    more: str = "",
) -> bool:
    """Let the kernel mount the device of the volume at `point`, a folder; raises NotMounted, and Refused.

    True when that took the options that pass over damage.
    """
    if private:
        namespace.enter(stack.runner)
    system = known(volume.content, volume.title).by_copy(volume.superblock)
    sets = (system.written,) if writable else system.options(volume.members, state) * twins.tries(volume)
    # nosymfollow would hinder other people's tools in a mount in sight, and wants Linux 5.10
    guards = f"{_GUARDS},nosymfollow" if private and _kernel() >= (5, 10) else _GUARDS
    last = () if writable else system.last_options(volume.members)
    refused: CommandFailed | None = None
    for at, options in enumerate((*sets, *last)):
        passes_over = at >= len(sets)
        words = ",".join(filter(None, ("rw" if writable else "ro", guards, options, more)))
        command = Command(
            ("mount", "--internal-only", "-t", system.type, "-o", words, device.path, str(point)),
            why=_("Mount it read-only, and pass over what is damaged; {options}.").format(options=options)
            if passes_over
            else _why(system, writable, state, volume.pending),
            effect=_("the volume's files appear in {path}").format(path=safe(point)),
        )
        facts = partial(MountKind.facts, point, device.path)
        try:
            stack.put_up(Pair("mount", command, str(point), (*device.on, str(point)), facts))
        except CommandFailed as failure:
            refused = failure
            continue
        if not stack.runner.planning:
            twins.refuse_other_btrfs(volume, device.path)
        return passes_over
    said = refused.what if refused else ""
    error = NotMounted(
        _("The volume could not be mounted as {type}: {message}").format(type=system.type, message=said),
        _("There may be no such subvolume. The disk was only read.")
        if more
        else _("Its file system may be damaged or incomplete. The disk was only read."),
        _("`virt-salvage subvolumes` lists the subvolumes that there are.") if more else _way_out(state),
    )
    error.said = said.rstrip(".")
    raise error from refused


def make_point(stack: Stack, point: Path) -> None:
    """Make the folder `point` if it is missing; raises Refused where something is in it."""
    if point.is_dir():
        if not stack.runner.planning and os.listdir(point):
            raise NotEmpty(
                _("The folder {path} is not empty.").format(path=safe(point)),
                _("A mount over it would hide what is in it."),
                _("Give an empty folder, or one that does not exist yet."),
            )
        return
    make = Command(
        ("mkdir", "--parents", str(point)),
        why=_("Make the folder where the volume will appear."),
        effect=_("a new empty folder"),
    )
    pair = Pair("file", make, str(point), facts=lambda: FileKind.facts(point), planned={"folder": True})
    stack.put_up(pair)


def _way_out(state: State) -> str:
    """What is left where nobody can mount it in that state."""
    if state is State.REPAIRED:
        return _("The repair in the overlay was not enough. `virt-salvage backup` saves the disk as it is.")
    return _("`virt-salvage check` tells how damaged it is; with --repair it is repaired in an overlay.")


def _why(system: FileSystem, writable: bool, state: State, pending: bool) -> str:
    if writable:
        if not pending:
            return _("Mount it over the overlay: every write lands there.")
        return _("Mount it over the overlay: what its journal holds is replayed; every write lands there.")
    if state is not State.LEFT and system.replayed is not None:
        if pending:
            return _("Mount it read-only; its journal is replayed first, and that lands in the overlay.")
        return _("Mount it read-only; should its journal hold anything, that is replayed in the overlay.")
    return _("Mount it read-only; {reason}.").format(reason=_(system.why))


def _require_spare(program: str, refusal: NotMounted) -> None:
    """Raise the kernel's refusal, with how to get the program, where that is not installed."""
    try:
        tools.require(program)
    except ToolMissing as missing:
        told = _("{program} may read it all the same.").format(program=program)
        refusal.remedy = sentences((told, f"{missing.remedy}.", refusal.remedy))
        raise refusal from missing


def _by_daemon(
    stack: Stack,
    system: FileSystem,
    device: Device,
    point: Path,
    log: Path,
    refusal: NotMounted | None = None,
    *,
    tie: bool,
    state: State,
) -> None:
    """Let a program in user space serve it; `refusal` is the kernel's, where that was asked before."""
    argv = (*system.daemon, "-o", f"ro,{_GUARDS}", device.path, str(point))
    why = _("Mount it read-only through a program in user space: this kernel has no driver for it.")
    if refusal:
        why = _("Mount it read-only through a program in user space: the kernel's driver refused it.")
    command = Command(
        tied(argv, tie),
        why=why,
        effect=_("the volume's files appear in {path}").format(path=safe(point)),
        captures="READER",
        background=True,
        limits=None,
    )
    try:
        on = (*device.on, str(point))
        serve(stack, "mount", command, point, log, argument=str(point), on=on, ends_with="umount")
    except CouldNotStart as failure:
        failure.remedy = _way_out(state)
        if refusal:
            told = _("The kernel refused it as {type} ({message}), and so did another program. {second}")
            failure.what = told.format(type=system.type, message=refusal.said, second=failure.what)
        raise


def _kernel() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
