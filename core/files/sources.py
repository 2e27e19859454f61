"""What is to be copied, and how much of it an earlier run has already brought."""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core.cancel import CancelToken
from core.errors import WrongUsage
from core.files.estimate import Estimate, estimate
from core.files.space import check_space
from core.files.trail import LIST
from core.files.tree import GuestTree, Place
from core.i18n import _
from core.text import safe


@dataclass(frozen=True, slots=True)
class Road:
    """A source and the name that it gets in the target; None: its contents go there."""

    place: Place
    name: bytes | None


def roads_of(tree: GuestTree, sources: Sequence[bytes], stack: ExitStack) -> list[Road]:
    """Where each source leads and how it will be called; the places stay open as long as `stack`.

    Raises `SalvageError` for a source that does not exist and `WrongUsage` for two of one name.
    """
    found: list[Road] = []
    taken: dict[bytes, bytes] = {}
    for source in dict.fromkeys(sources):
        place = tree.resolve(source, follow_last=source.endswith(b"/"))
        stack.callback(place.close)
        contents = source.endswith(b"/") or place.path == b"/"
        if contents and place.kind != "dir":
            raise WrongUsage(_("{path} is not a directory.").format(path=safe(source)))
        name = None if contents else place.path.rpartition(b"/")[2]
        if name is not None and taken.setdefault(name, place.path) != place.path:
            raise WrongUsage(
                _("Two sources are called {name}: {first} and {second}.").format(
                    name=safe(name), first=safe(taken[name]), second=safe(place.path)
                ),
                _("Nothing was copied."),
                _("Copy them into two different folders."),
            )
        found.append(Road(place, name))
    return found


def require_room(roads: Sequence[Road], dest: Path, expected: Estimate, cancel: CancelToken) -> None:
    """Raise `NoSpace` where the folder `dest` has no room for what an earlier run has not brought yet."""
    check_space(max(0, expected.allocated - already_there(dest, roads, cancel)), dest)


def already_there(dest: Path, roads: Sequence[Road], cancel: CancelToken) -> int:
    """Bytes on disk of what an earlier run has already brought."""
    try:
        here = frozenset(map(os.fsencode, os.listdir(dest)))
    except OSError:
        # Not made yet, or not to be used: then opening it as the target says so.
        return 0
    names: set[bytes] = set()
    for road in roads:
        names.update([road.name] if road.name is not None else _names(road.place))
    with GuestTree(dest) as existing:
        return estimate(existing, sorted(names & here), cancel).allocated


def _names(place: Place) -> list[bytes]:
    try:
        fd = place.open(LIST)
    except OSError:
        # The copy itself meets the same error and tells it; nothing of it can be there already.
        return []
    try:
        return [os.fsencode(name) for name in os.listdir(fd)]
    except OSError:
        return []
    finally:
        os.close(fd)


def outermost(paths: Iterable[bytes]) -> tuple[bytes, ...]:
    """The paths without those that lie in another one of them: whoever takes a folder takes all in it."""
    kept: list[bytes] = []
    before = b""
    for folder, path in sorted((path.rstrip(b"/") + b"/", path) for path in paths):
        if not before or not folder.startswith(before):
            kept.append(path)
            before = folder
    return tuple(sorted(kept))
