"""What one would type instead of a copy."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from core.command import Command
from core.files.choices import Choices
from core.files.destination import Destination
from core.i18n import _
from core.text import safe


def target_folder(place: Destination) -> Command:
    """What one would type before: `copy` makes the folder by itself."""
    return Command(
        ("mkdir", "--parents", str(place.path)),
        why=_("Make the folder that the files go to; it stays."),
        effect=_("the folder {path}").format(path=safe(place.path)),
    )


def by_hand(root: Path, sources: Sequence[bytes], place: Destination, choices: Choices) -> Command:
    """What one would type instead, the volume being mounted at `root`."""
    where = safe(place.path)
    wanted = [os.fsdecode(one).lstrip("/") for one in sources]
    if place.shape == "folder":
        return Command(
            _cp(str(root), wanted, place, whole=choices.paths),
            why=_(
                "Copy with owners, modes, times, attributes, links and holes; virt-salvage does it itself"
                " and hashes every byte."
            ),
            effect=_("the files lie in {path}").format(path=where),
            by_hand=True,
        )
    if place.shape == "zip":
        argv = _zip(str(root), wanted, place, whole=choices.paths)
    else:
        argv = _tar(str(root), wanted, place, whole=choices.paths)
    effect = (
        _("a tar on standard output")
        if place.shape == "stream"
        else _("the archive {path}").format(path=where)
    )
    return Command(
        argv,
        why=_(
            "Pack with owners, modes, times, attributes, links and holes; virt-salvage does it itself"
            " and hashes every byte."
        ),
        effect=effect,
        by_hand=True,
    )


def _cp(root: str, wanted: Sequence[str], place: Destination, *, whole: bool) -> tuple[str, ...]:
    words = ("cp", "--archive", "--sparse=always")
    if whole:
        inside = [one.rstrip("/") or "." for one in wanted]
        return ("env", f"--chdir={root}", *words, "--parents", "--", *inside, str(place.path))
    paths = [f"{root}/{one}" + ("." if not one or one.endswith("/") else "") for one in wanted]
    return (*words, *paths, str(place.path))


def _tar(root: str, wanted: Sequence[str], place: Destination, *, whole: bool) -> tuple[str, ...]:
    argv = ["tar", "--create", "--format=pax", "--xattrs", "--acls", "--sparse", "--numeric-owner"]
    argv += ["--zstd"] if place.compressed else []
    argv += ["--file", "-" if place.shape == "stream" else str(place.path)]
    if not whole:
        for folder, name in (_apart(root, one) for one in wanted):
            argv += [f"--directory={folder}", _member(name)]
        return tuple(argv)
    argv.append(f"--directory={root}")
    # the folders above them with their owners and modes, but without what else is in them
    above = sorted({folder for one in wanted for folder in _above(one)})
    if above:
        argv += ["--no-recursion", *map(_member, above), "--recursion"]
    return (*argv, *(_member(one.rstrip("/") or ".") for one in wanted))


def _member(name: str) -> str:
    return f"--add-file={name}" if name.startswith("-") else name


def _zip(root: str, wanted: Sequence[str], place: Destination, *, whole: bool) -> tuple[str, ...]:
    words = ["zip", "--recurse-paths", "--symlinks", str(place.path)]
    if whole:
        return ("env", f"--chdir={root}", *words, *(f"./{one.rstrip('/')}".rstrip("/") for one in wanted))
    groups: dict[str, list[str]] = {}
    for folder, name in (_apart(root, one) for one in wanted):
        groups.setdefault(folder, []).append(name if name == "." else f"./{name}")
    if len(groups) == 1:
        [(folder, names)] = groups.items()
        return ("env", f"--chdir={folder}", *words, *names)
    # zip has no word for another folder between its names; a second call adds to the archive
    steps = (
        f'cd "${at}" && {shlex.join([*words, *names])}' for at, names in enumerate(groups.values(), start=1)
    )
    return ("bash", "-c", " && ".join(steps), "bash", *groups)


def _apart(root: str, wanted: str) -> tuple[str, str]:
    """The folder to stand in, and what to name there."""
    if not wanted or wanted.endswith("/"):
        return f"{root}/{wanted}".rstrip("/"), "."
    above, _slash, name = wanted.rpartition("/")
    return f"{root}/{above}".rstrip("/"), name


def _above(wanted: str) -> list[str]:
    parts = wanted.strip("/").split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
