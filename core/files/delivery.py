"""A copy to wherever it is to go: a folder, an archive, a stream, another machine."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from core.cancel import CancelToken
from core.files.abilities import lacking
from core.files.archive import ArchiveFile, Stream
from core.files.choices import Choices
from core.files.content import ReadAt
from core.files.copy import copy
from core.files.destination import Destination
from core.files.estimate import Estimate
from core.files.outcome import Copied
from core.files.packing import archive_abilities, pack
from core.files.progress import Listener
from core.files.sending import kept_there, send
from core.files.sources import require_room, roads_of
from core.files.tree import GuestTree
from core.runner import Runner


def deliver(
    tree: GuestTree,
    sources: Sequence[bytes],
    place: Destination,
    runner: Runner,
    folder: Path,
    progress: Listener,
    choices: Choices,
    *,
    read: ReadAt,
    stream: int,
) -> Copied:
    """Copy `sources` to `place`; see `core.files.copy`, `packing` and `sending`, which raise what they raise.

    `folder` is the session's own, `stream` the descriptor for a stream.
    """
    cancel = runner.cancel
    if place.shape in ("rsync", "rclone"):
        return send(tree, sources, place, runner, folder, progress, choices)
    if place.shape == "folder":
        return copy(tree, sources, place.path, cancel, progress, read=read, choices=choices)
    if place.shape == "stream":
        return pack(tree, sources, Stream(stream), cancel, progress, read=read, choices=choices)
    return pack(tree, sources, _archive(place, choices), cancel, progress, read=read, choices=choices)


def _archive(place: Destination, choices: Choices) -> ArchiveFile:
    replace = choices.existing == "replace"
    return ArchiveFile(place.path, place.shape, packed=place.compressed, replace=replace)


def caution(place: Destination, choices: Choices) -> str:
    """What a person should know of what this target keeps; empty where it keeps everything.

    A folder is tried. Raises `SalvageError` where it cannot be used.
    """
    match place.shape:
        case "folder":
            return lacking(place.path)
        case "rsync" | "rclone":
            return kept_there(place, choices)
        case _archive:
            return archive_abilities(place.shape).sentence(place.path)


def room_for(
    tree: GuestTree,
    sources: Sequence[bytes],
    place: Destination,
    expected: Estimate,
    cancel: CancelToken,
    choices: Choices,
) -> None:
    """Raise `NoSpace` where the target's size is known and too small.

    What else is known beforehand to end the copy is raised too: two sources of one name, an archive that is
    there already.
    """
    with ExitStack() as stack:
        roads = roads_of(tree, sources, stack, whole=choices.paths)
        if place.shape == "folder":
            require_room(roads, place.path, expected, cancel)
    if place.shape in ("tar", "zip"):
        _archive(place, choices).check_space(expected)
