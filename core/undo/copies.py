"""Copies of our mounts that other sessions of this program have in their private mount namespaces.

Where mounts propagate, as on hosts with systemd, the kernel takes them down together with ours. Elsewhere
each would keep the device below our mount up until that session ends. A copy that its session uses, as the
target of what it copies out, stays, and so does the mount: without its folder the copy would be lost too.
"""

from collections.abc import Iterable

from core import namespace, slots
from core.runner import Runner
from core.undo.journal import Entry

_ON_BLOCKS = ("loop", "lv", "luks", "md", "dm")


def let_go(entry: Entry, session: Iterable[Entry], runner: Runner) -> bool:
    """Take down the copies of a mount, or of all that a session had mounted from a block device of its own.

    Whether none is left.
    """
    mounted = [(one.target, one.facts.get("source")) for one in session if _stands_on(one, entry)]
    free = True
    for space in namespace.private() if mounted else ():
        for point, source in mounted:
            for mount in reversed([mount for mount in space.mounts if mount.point == point]):
                if mount.source != source:
                    break  # that session has mounted something of its own over it
                free = runner.run(namespace.let_go(space, point)).status == 0 and free
    return free


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
