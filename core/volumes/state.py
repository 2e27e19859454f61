"""In which state a file system is opened that was left without being unmounted."""

from enum import Enum


class State(Enum):
    """What was done to a file system before its files are read. Only the first needs no overlay."""

    LEFT = "left"
    """As it lies on the disk: what is only in its journal is not seen."""
    REPLAYED = "replayed"
    """Its journal replayed in an overlay, as the machine would have done when it started again."""
    REPAIRED = "repaired"
    """Repaired in an overlay by the repair program of its kind, which may throw things away."""


class Seen(Enum):
    """What is true of the files that are seen then."""

    LEFT = "left"
    OVERLAY = "overlay"
    """As they lie on the disk, though over an overlay: no journal held anything that was still to be done."""
    REPLAYED = "replayed"
    REPAIRED = "repaired"


def how_seen(state: State, *, pending: bool, writable: bool) -> Seen:
    """How the files of a volume are seen that was opened in that `state`, or mounted `writable`.

    An overlay may be wanted for what lies below the file system, such as the cache of a logical volume:
    `pending` tells whether its own journal held anything.
    """
    if state is State.REPAIRED:
        return Seen.REPAIRED
    if state is State.LEFT and not writable:
        return Seen.LEFT
    return Seen.REPLAYED if pending else Seen.OVERLAY
