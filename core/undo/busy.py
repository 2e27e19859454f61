"""Who keeps a thing of ours up that was to be taken down, found from what the kernel tells now.

A mount is busy while a program works in it, has a file of it open or mapped, while something is mounted
below it, or while a loop device or swap is on a file in it. A loop device is busy while the file system
on it lives: mounted a second time, as a copy in another mount namespace, or out of sight (umount2(2),
MNT_DETACH); or while a program, a mapping, an array or swap uses the device itself. Where what lies below
does not answer, as an array that lost its members, a mount that was begun waits for it inside the kernel.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from signal import Signals

from core import host, loops, mounts, processes, slots
from core.i18n import _, ngettext
from core.processes import Namespace, Target
from core.undo.account import Entry
from core.undo.holders import Held, Holder, Way

_MOMENT = 0.05
"""Seconds after which who waits for a device that answers goes on."""


_WAYS = {
    processes.How.WORKS_IN: Way.WORKS_IN,
    processes.How.ROOT: Way.ROOT,
    processes.How.OPEN: Way.OPEN,
    processes.How.MAPS: Way.MAPS,
}


@dataclass(frozen=True, slots=True)
class _Place:
    """What is asked about: a mount in sight by its point and id, or what lives on block devices."""

    target: Target
    point: str = ""
    id: int = 0
    nodes: tuple[str, ...] = ()
    """The block devices, by path."""


def held(entry: Entry) -> Held:
    """Who keeps the thing of a journal entry up; changes nothing and asks no file system that may hang."""
    others = processes.namespaces()
    place = _place(entry, others)
    if place is None:
        return Held()
    found, denied = _programs(place.target)
    if "slot" in entry.facts:  # its own server has it open as long as it serves it
        found = [one for one in found if not one.process or one.process.pid != entry.identity.get("pid")]
    if place.point:
        found += [*_below(place), *_loops_inside(place)]
    else:
        if entry.identity.get("lazy"):
            found = [_as_before(one, entry.target, place, others) for one in found]
        found += [*_copies(place, others), *_stacked(place), *_waiting(place)]
    found += _swaps(place)
    return Held(tuple(found), tuple(_unseen(denied, bool(found))), place.target, entry)


def holds(holder: Holder, target: Target) -> bool:
    """Whether a program that was found holding the target still does."""
    process = holder.process
    if process is None or not host.runs(process.pid, process.started):
        return False
    if holder.sees:
        return processes.sees(process.pid, target)
    try:
        return bool(processes.uses(process.pid, target))
    except PermissionError:
        return False  # it belongs to another user now: nobody can tell


def end(holder: Holder, target: Target, number: Signals) -> bool:
    """Send a signal to the program, if it holds the target still; whether it was sent."""
    if holder.process is None or not holder.can_end:
        return False
    return processes.send(holder.process, number, partial(holds, holder, target))


# -- what is asked about ------------------------------------------------------------------------------


def in_sight(entry: Entry) -> mounts.Mount | None:
    """The mount of an entry where the caller sees it on top of its mount point."""
    here = mounts.at(entry.target)
    known = entry.identity.get("id", here[-1].id if here else 0)
    return here[-1] if here and here[-1].id == known else None


def devices(mount: mounts.Mount) -> frozenset[str]:
    """What mountinfo and stat(2) call the device of a mount: two names where it is btrfs."""
    known = processes.facts(mount.point)
    return frozenset({mount.device, *([known.device] if known else [])})


def _place(entry: Entry, others: list[Namespace]) -> _Place | None:
    if entry.what in ("mount", "fuse-export"):
        if mounts.over(entry.target):
            return None  # what the path leads to is somebody else's
        here = in_sight(entry)
        if here:
            return _Place(Target(devices(here), frozenset({here.id})), here.point, here.id)
        below = (str(entry.facts.get("source", "")), *entry.on)
        nodes = tuple(path for path in dict.fromkeys(below) if path.startswith("/dev/"))
        known = frozenset(map(str, entry.identity.get("devices", ())))
        return _Place(Target(known | _living(nodes, others)), nodes=nodes)
    if entry.what in ("loop", "lv", "luks", "md"):
        nodes = (entry.target,) if entry.target else ()
    elif "slot" in entry.facts:
        nodes = slots.nodes(entry.target)
    elif entry.what == "dm":
        nodes = tuple(f"/dev/{name}" for name in loops.holders(entry.target))
    else:
        return None
    numbers = frozenset(filter(None, map(_number, nodes)))
    return _Place(Target(numbers | _living(nodes, others), blocks=numbers), nodes=nodes)


def _number(node: str) -> str:
    """Major and minor number of a block device; empty when there is none."""
    known = processes.facts(node)
    return known.block if known else ""


def _living(nodes: tuple[str, ...], others: list[Namespace]) -> frozenset[str]:
    """The devices of file systems that stand on block devices under another number, as btrfs does."""
    lines = Path("/proc/filesystems").read_text().splitlines()
    on_blocks = {line.strip() for line in lines if not line.startswith("nodev")}
    tables = [mounts.mounts(), *(one.mounts for one in others)]
    return frozenset(
        mount.device
        for table in tables
        for mount in table
        if mount.source in nodes and (mount.type in on_blocks or mount.type.startswith("fuse"))
    )


# -- looking ------------------------------------------------------------------------------------------


def _programs(target: Target) -> tuple[list[Holder], int]:
    """The programs that use the target, and how many could not be looked at."""
    found: list[Holder] = []
    denied = 0
    kin = processes.lineage()
    for pid in sorted(processes.pids()):
        try:
            used = processes.uses(pid, target)
        except PermissionError:
            denied += not processes.is_kernel_thread(pid)
            continue
        process = host.describe(pid) if used else None
        if process and process.started:
            found += [
                Holder(_WAYS[use.how], use.path, process, more=use.more, is_kin=pid in kin) for use in used
            ]
    return found, denied


def _as_before(holder: Holder, point: str, place: _Place, others: list[Namespace]) -> Holder:
    """The holder with the path as it was: out of sight, the kernel tells it from the mount's own root on."""
    tables = [mounts.mounts(), *(one.mounts for one in others)]
    seen = [m.point for table in tables for m in table if m.device in place.target.devices]
    if any(_lies_in(holder.path, one) for one in seen):
        return holder
    return replace(holder, path=(point + holder.path).rstrip("/"))


def _below(place: _Place) -> Iterator[Holder]:
    for mount in mounts.mounts():
        if mount.parent == place.id:
            yield Holder(Way.BELOW, mount.point, thing=mount.source)


def _copies(place: _Place, others: list[Namespace]) -> Iterator[Holder]:
    """Where the file system is mounted still: here under another point, or in other namespaces."""
    for mount in mounts.mounts():
        if mount.device in place.target.devices:
            yield Holder(Way.AGAIN, mount.point, thing=mount.source)
    kin = processes.lineage()
    for space in others:
        points = [mount.point for mount in space.mounts if mount.device in place.target.devices]
        for pid, thread in space.threads if points else ():
            process = host.describe(pid)
            if process and process.started:
                more = len(points) - 1
                yield Holder(Way.ELSEWHERE, points[0], process, "", more, pid in kin, thread)


_SERVED = ("fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs")
"""File systems that somebody else serves: asked for a file's inode, they may hang."""


def _loops_inside(place: _Place) -> Iterator[Holder]:
    table = mounts.mounts()
    served = next((mount.type.startswith(_SERVED) for mount in table if mount.id == place.id), False)
    for loop in loops.loops():
        if not _lies_in(loop.backing, place.point):
            continue
        identity = None if served else loops.backing_identity(loop.path)
        if served or (identity and _named(identity[0]) in place.target.devices):
            yield Holder(Way.LOOP, loop.backing, thing=loop.path)


def _stacked(place: _Place) -> Iterator[Holder]:
    """The loops, mappings and arrays on the block devices, or on a file of what lives on them."""
    for node in place.nodes:
        for name in loops.holders(node):
            mapping = Path(f"/sys/block/{name}/dm/name")
            thing = mapping.read_text().strip() if mapping.exists() else name
            yield Holder(Way.STACKED, node, thing=thing)
    table = mounts.mounts()
    for loop in loops.loops():
        if loop.backing in place.nodes:
            yield Holder(Way.LOOP, loop.backing, thing=loop.path)
        elif not _may_hang(loop.backing, table) and loop.path not in place.nodes:
            identity = loops.backing_identity(loop.path)
            if identity and _named(identity[0]) in place.target.devices:
                yield Holder(Way.LOOP, loop.backing, thing=loop.path)


def _waiting(place: _Place) -> Iterator[Holder]:
    """The programs that wait inside the kernel for an answer of the block devices, and not just now."""
    waiting = [(pid, node) for node in place.nodes for pid in _waiting_for(node)]
    if waiting:
        time.sleep(_MOMENT)
    for pid, node in waiting:
        process = host.describe(pid) if processes.waits_for(pid, node) else None
        if process:
            yield Holder(Way.WAITS, node, process)


def _waiting_for(node: str) -> list[int]:
    return [pid for pid in processes.pids() if processes.waits_for(pid, node)]


def _may_hang(path: str, table: list[mounts.Mount]) -> bool:
    """Whether the file system under a path may not answer; ``/`` is told where nobody knows the path."""
    over = [mount for mount in table if _lies_in(path, mount.point) or path == mount.point]
    return path == "/" or not over or max(over, key=lambda m: (len(m.point), m.id)).type.startswith(_SERVED)


def _swaps(place: _Place) -> Iterator[Holder]:
    """Swap on the block devices, or on a file in the mount: ``/proc/swaps`` of proc(5)."""
    for line in Path("/proc/swaps").read_bytes().splitlines()[1:]:
        path = mounts.plain(line.split()[0])
        if (place.point and _lies_in(path, place.point)) or path in place.nodes:
            yield Holder(Way.SWAP, path, thing=path)


def _lies_in(path: str, point: str) -> bool:
    return path.startswith(point.rstrip("/") + "/") or path == point


def _named(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _unseen(denied: int, found: bool) -> Iterator[str]:
    if denied and os.geteuid() != 0:
        told = ngettext(
            "{count} program of another user could not be looked at; root can.",
            "{count} programs of other users could not be looked at; root can.",
            denied,
        )
        yield told.format(count=denied)
    elif denied and not found:  # even root is kept from some, such as init under a security module
        told = ngettext(
            "{count} program could not be looked at.", "{count} programs could not be looked at.", denied
        )
        yield told.format(count=denied)
    if processes.hides_processes():
        yield _("/proc hides the programs of other users here (hidepid).")
    if processes.in_container():
        yield _("This runs in a container: programs outside of it cannot be seen.")
