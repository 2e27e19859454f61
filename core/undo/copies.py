"""Copies of our mounts that other sessions of this program have in their private mount namespaces.

Where mounts propagate, as on hosts with systemd, the kernel takes them down together with ours. Elsewhere
each would keep the device below our mount up until that session ends. A copy that its session uses, as the
target of what it copies out, stays, and so does the mount: without its folder the copy would be lost too.
"""

from collections.abc import Collection, Iterable, Iterator

from core import namespace, slots
from core.mounts import Mount
from core.runner import Runner
from core.undo.account import Entry

_ON_BLOCKS = ("loop", "lv", "luks", "md", "dm")


def let_go(entry: Entry, session: Iterable[Entry], runner: Runner) -> bool:
    """Take down the copies of a mount, or of all that a session had mounted from a block device of its own.

    Whether none is left.
    """
    mounted = [(one.target, one.facts.get("source")) for one in session if _stands_on(one, entry)]
    tried: set[tuple[str, int]] = set()
    while True:  # a session that ends meanwhile takes its copies with it: what failed is looked at again
        left = list(_copies(mounted)) if mounted else []
        new = [(space, mount) for space, mount in left if (space.witness, mount.id) not in tried]
        if not new:
            return not left
        for space, mount in new:
            tried.add((space.witness, mount.id))
            runner.run(namespace.let_go(space, mount.point))


def _copies(mounted: Collection[tuple[str, object]]) -> Iterator[tuple[namespace.Private, Mount]]:
    """The copies of what is mounted, by point and source, the ones on top first."""
    for space in namespace.private():
        for point, source in mounted:
            for mount in reversed([mount for mount in space.mounts if mount.point == point]):
                if mount.source != source:
                    break  # that session has mounted something of its own over it
                yield space, mount


def _stands_on(mount: Entry, entry: Entry) -> bool:
    """Whether one entry is a mount, and is the other or stands on the block devices that the other is."""
    if mount.what != "mount":
        return False
    if "slot" in entry.facts:
        nodes = slots.nodes(entry.target)
    else:
        nodes = (entry.target,) if entry.what in _ON_BLOCKS else ()
    below = {mount.facts.get("source"), *mount.on}
    return mount.number == entry.number or not below.isdisjoint(nodes)
