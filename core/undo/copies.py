"""Copies of our mounts that other sessions of this program have in their private mount namespaces.

Where mounts propagate, as on hosts with systemd, the kernel takes them down together with ours. Elsewhere
each would keep the device below our mount up until that session ends. A copy that its session uses, as the
target of what it copies out, stays, and so does the mount: without its folder the copy would be lost too.
"""

from collections.abc import Collection, Iterable, Iterator

from core import mounts, namespace, slots
from core.mounts import Mount
from core.namespace import Private
from core.runner import Runner
from core.undo.account import Entry

_ON_BLOCKS = ("loop", "lv", "luks", "md", "dm")


def let_go(entry: Entry, session: Iterable[Entry], runner: Runner) -> bool:
    """Take down the copies of a mount, or of all that was mounted from a block device of ours.

    A copy of what somebody else mounted from it goes when that mount itself is gone. Whether none is left.
    """
    nodes = _nodes(entry)
    ours = {(one.target, one.facts.get("source")) for one in session if _stands_on(one, entry, nodes)}
    tried: set[tuple[str, int]] = set()
    while True:  # a session that ends meanwhile takes its copies with it: what failed is looked at again
        left = list(_copies(ours, nodes)) if ours or nodes else []
        new = [(space, mount) for space, mount in left if (space.witness, mount.id) not in tried]
        if not new:
            return not left
        for space, mount in new:
            tried.add((space.witness, mount.id))
            runner.run(namespace.let_go(space, mount.point))


def _copies(ours: Collection[tuple[str, object]], nodes: Collection[str]) -> Iterator[tuple[Private, Mount]]:
    """The copies of our mounts and of gone ones from block devices, the ones on top first."""
    there = {(mount.point, mount.source) for mount in mounts.mounts()}
    for space in namespace.private():
        for point in {mount.point for mount in space.mounts}:
            for mount in reversed([mount for mount in space.mounts if mount.point == point]):
                one = (mount.point, mount.source)
                if one not in ours and (mount.source not in nodes or one in there):
                    break  # that session has mounted something of its own over it
                yield space, mount


def _nodes(entry: Entry) -> tuple[str, ...]:
    """The block devices that an entry is, by path."""
    if "slot" in entry.facts:
        return slots.nodes(entry.target)
    return (entry.target,) if entry.what in _ON_BLOCKS and entry.target else ()


def _stands_on(mount: Entry, entry: Entry, nodes: Collection[str]) -> bool:
    """Whether one entry is a mount, and is the other or stands on the block devices that the other is."""
    if mount.what != "mount":
        return False
    below = {mount.facts.get("source"), *mount.on}
    return mount.number == entry.number or not below.isdisjoint(nodes)
