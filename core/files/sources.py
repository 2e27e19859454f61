"""What is to be copied, and how much of it an earlier run has already brought."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from core.cancel import CancelToken
from core.errors import SalvageError, SameName, WrongUsage
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
    above: tuple[bytes, ...] = ()
    """The guest's folders above it that it keeps in the target, from the top down."""

    @property
    def there(self) -> bytes:
        """Its path below the target; empty where its contents go there."""
        return b"/".join([*self.above, *([] if self.name is None else [self.name])])


def roads_of(
    tree: GuestTree, sources: Sequence[bytes], stack: ExitStack, *, whole: bool = False
) -> list[Road]:
    """Where each source leads and how it will be called; the places stay open as long as `stack`.

    With `whole`, each keeps the guest's whole path: in the order of a walk then, none twice or in another.
    Raises `SalvageError` for a source that does not exist and `SameName` for two of one name.
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
        if whole:
            name = None
        elif name is not None and taken.setdefault(name, place.path) != place.path:
            raise SameName(
                _("Two sources are called {name}: {first} and {second}.").format(
                    name=safe(name), first=safe(taken[name]), second=safe(place.path)
                ),
                _("Nothing was copied."),
                _("Copy them into two different folders, or keep the guest's whole paths: --paths."),
            )
        found.append(Road(place, name))
    return _whole(found) if whole else found


def _whole(found: Sequence[Road]) -> list[Road]:
    kept: list[Road] = []
    once = {road.place.path: road.place for road in found}
    for path, place in sorted(once.items(), key=lambda one: one[0].split(b"/")):
        over = kept[-1].place if kept else None
        if over and over.kind == "dir" and path.startswith(over.path.rstrip(b"/") + b"/"):
            continue
        *above, name = path.strip(b"/").split(b"/")
        kept.append(Road(place, name or None, tuple(above)))
    return kept


def require_room(roads: Sequence[Road], dest: Path, expected: Estimate, cancel: CancelToken) -> None:
    """Raise `NoSpace` where the folder `dest` has no room for what an earlier run has not brought yet."""
    need = max(0, expected.allocated - already_there(dest, roads, cancel))
    check_space(need, dest, expected.apparent)


def already_there(dest: Path, roads: Sequence[Road], cancel: CancelToken) -> int:
    """Bytes on disk of what an earlier run has already brought."""
    try:
        here = frozenset(map(os.fsencode, os.listdir(dest)))
    except OSError:
        # Not made yet, or not to be used: then opening it as the target says so.
        return 0
    names: set[bytes] = set()
    for road in roads:
        if not road.above:
            names.update([road.name] if road.name is not None else _names(road.place))
    with GuestTree(dest) as existing:
        deeper = {road.there for road in roads if road.above and _is_in(existing, road.there)}
        return estimate(existing, sorted((names & here) | deeper), cancel).allocated


def _is_in(tree: GuestTree, path: bytes) -> bool:
    try:
        tree.resolve(path, follow_last=False).close()
    except SalvageError:
        return False
    return True


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
