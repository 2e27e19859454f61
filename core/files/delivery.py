"""A copy to wherever it is to go: a folder, an archive, a stream, another machine."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from core.cancel import CancelToken
from core.command import Command
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
from core.i18n import _
from core.runner import Runner
from core.text import safe


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
    replace = choices.existing == "replace"
    out = ArchiveFile(place.path, place.shape, packed=place.compressed, replace=replace)
    return pack(tree, sources, out, cancel, progress, read=read, choices=choices)


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
    tree: GuestTree, sources: Sequence[bytes], place: Destination, expected: Estimate, cancel: CancelToken
) -> None:
    """Raise `NoSpace` where the target's size is known and too small."""
    if place.shape == "folder":
        with ExitStack() as stack:
            require_room(roads_of(tree, sources, stack), place.path, expected, cancel)
    elif place.shape == "tar":
        ArchiveFile(place.path, place.shape, packed=place.compressed, replace=True).check_space(expected)


def target_folder(place: Destination) -> Command:
    """What one would type before: `copy` makes the folder by itself."""
    return Command(
        ("mkdir", "--parents", str(place.path)),
        why=_("Make the folder that the files go to; it stays."),
        effect=_("the folder {path}").format(path=safe(place.path)),
    )


def by_hand(root: Path, sources: Sequence[bytes], place: Destination) -> Command:
    """What one would type instead, the volume being mounted at `root`."""
    where = safe(place.path)
    if place.shape == "folder":
        return Command(
            ("cp", "--archive", "--sparse=always", *(_below(root, one) for one in sources), str(place.path)),
            why=_(
                "Copy with owners, modes, times, attributes, links and holes; virt-salvage does it itself"
                " and hashes every byte."
            ),
            effect=_("the files lie in {path}").format(path=where),
            by_hand=True,
        )
    inside = [os.fsdecode(one).strip("/") or "." for one in sources]
    if place.shape == "zip":
        argv = ["zip", "--recurse-paths", "--symlinks", str(place.path), *(f"{root}/{one}" for one in inside)]
    else:
        argv = ["tar", "--create", "--format=pax", "--xattrs", "--acls", "--sparse", "--numeric-owner"]
        argv += ["--zstd"] if place.compressed else []
        argv += ["--file", "-" if place.shape == "stream" else str(place.path), "--directory", str(root)]
        argv += inside
    effect = (
        _("a tar on standard output")
        if place.shape == "stream"
        else _("the archive {path}").format(path=where)
    )
    return Command(
        tuple(argv),
        why=_(
            "Pack with owners, modes, times, attributes, links and holes; virt-salvage does it itself"
            " and hashes every byte."
        ),
        effect=effect,
        by_hand=True,
    )


def _below(root: Path, source: bytes) -> str:
    inside = os.fsdecode(source).lstrip("/")
    return f"{root}/{inside}" + ("." if not inside or inside.endswith("/") else "")
