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
