"""Files that are left out on the way and brought when the walk is over."""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from core.cancel import CancelToken
from core.files.tally import Tally
from core.files.target import Target
from core.files.tree import GuestTree


class Late(NamedTuple):
    """A file that waits until all others are there."""

    path: bytes
    folder: tuple[bytes, ...]
    """In the target."""
    onto: bytes


def bring_late(
    tree: GuestTree,
    target: Target,
    tally: Tally,
    cancel: CancelToken,
    waiting: Iterable[Late],
    bring: Callable[[int, bytes, Late], None],
) -> None:
    """Go to the place of each of them and let `bring` have the guest's open folder and the name there.

    The folder in the target keeps its times. Raises `Cancelled`, `NoSpace` and other `SalvageError`.
    """
    for late in waiting:
        cancel.check()
        with tree.resolve(late.path, follow_last=False) as place:
            try:
                target.go(late.folder)
                bring(place.parent, place.name, late)
                above = os.stat(b".", dir_fd=place.parent)
                os.utime(target.here, ns=(above.st_atime_ns, above.st_mtime_ns))
            except OSError as error:
                tally.unwritten(late.path, error)
            finally:
                target.leave_all()
