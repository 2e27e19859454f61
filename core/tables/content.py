"""What a partition or a whole disk contains, by libblkid, and whether the file system fits in it."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from core.command import Command
from core.i18n import _, enumerated
from core.runner import CommandFailed, Runner
from core.tables.journal import pending
from core.tables.sectors import Sectors, length
from core.tables.superblock import superblock
from core.text import safe
from core.text import size as told_size

_NOTHING, _AMBIVALENT = 2, 8
"""Exit statuses of blkid(8): nothing found, or several things."""
_SMALLEST = 512
"""A range of fewer bytes holds nothing that libblkid knows, and 0 means "to the end" to it."""
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Content:
    """What lies in a range of a disk.

    `content` and `usage` are libblkid's words (``ext4`` and ``filesystem``, ``LVM2_member`` and ``raid``);
    None if there is nothing that it knows. `label` and `uuid` are untrusted text; bytes that are no
    UTF-8 stand there as lone surrogates (PEP 383). Where several signatures lie in one place there is
    no content but `candidates`, each as it would be if it were the only one. `wanted` is the length in
    bytes of a file system that says it is longer than its place; `members` the number of devices that it
    is spread over; `pending` says that it was not unmounted, so that its journal holds changes.
    """

    content: str | None
    label: str | None = None
    uuid: str | None = None
    usage: str | None = None
    problems: tuple[str, ...] = ()
    candidates: tuple["Content", ...] = ()
    wanted: int | None = None
    members: int = 1
    pending: bool = False


def probe_command(view: Path, offset: int, size: int, only: str | None = None) -> Command:
    """The call of blkid for a range of `view` in bytes; looks for the content `only`, if given."""
    match = ("--match-types", only) if only else ()
    place = ("--offset", str(offset), "--size", str(size))
    return Command(
        # udev's form is the only one of blkid's whose escapes can be undone: export writes the byte
        # 0xC3 and the text "M-C" alike
        ("blkid", "--probe", "--output", "udev", *match, *place, "--", os.path.abspath(view)),
        _("Recognises what lies there by its signatures, without udev and without a cache."),
        good=frozenset({0, _NOTHING, _AMBIVALENT}),
    )


def probe(view: Path, offset: int, size: int | None, runner: Runner, only: str | None = None) -> Content:
    """What lies in the `size` bytes from `offset` of `view`; looks for the content `only`, if given.

    A range that the end of the disk cuts short is looked at up to there: blkid refuses it otherwise.
    A blkid that fails on damaged data is a problem of that range, no error. Raises `SalvageError` when
    `view` cannot be opened, `ToolMissing`, `Cancelled`.
    """
    room = length(view) - offset
    if room <= 0:
        return Content(None, problems=(_("It lies behind the end of the disk; nothing of it is there."),))
    room = room if size is None else min(size, room)
    if room < _SMALLEST:
        return Content(None)
    try:
        result = runner.run(probe_command(view, offset, room, only))
    except CommandFailed as error:
        return Content(None, problems=(error.what,))
    facts = dict(line.split(b"=", 1) for line in result.out.split(b"\n") if b"=" in line)
    if result.status == _AMBIVALENT:
        found = _several(facts.get(b"ID_FS_AMBIVALENT", b""))
        names = [str(one.content) for one in found.candidates]
        return replace(
            found, candidates=tuple(probe(view, offset, size, runner, only=name) for name in names)
        )
    content = _text(facts, b"ID_FS_TYPE")
    found = Content(
        content,
        _text(facts, b"ID_FS_LABEL_ENC"),
        _text(facts, b"ID_FS_UUID_ENC"),
        _text(facts, b"ID_FS_USAGE"),
    )
    if result.err.strip():
        said = safe(result.err.strip().splitlines()[-1][:400])
        return replace(
            found, problems=(_("blkid could not look at all of it: {message}").format(message=said),)
        )
    return _examined(found, view, offset, room)


def _text(facts: dict[bytes, bytes], name: bytes) -> str | None:
    value = facts.get(name)
    if not value:
        return None
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), value)
    return raw.decode("utf-8", "surrogateescape")


def _several(value: bytes) -> Content:
    """The candidates of ``filesystem:ext4:1.0 filesystem:btrfs``."""
    names = tuple(dict.fromkeys(word.split(":")[1] for word in safe(value).split() if word.count(":")))
    if not names:
        told = _("It carries the signatures of several file systems; blkid does not choose between them.")
        return Content(None, problems=(told,))
    told = _(
        "It carries the signatures of several file systems: {names}. None of them is mounted by itself:"
        " choose one with `--fs`."
    )
    candidates = tuple(Content(name) for name in names)
    return Content(None, problems=(told.format(names=enumerated(names)),), candidates=candidates)


def _examined(found: Content, view: Path, offset: int, room: int) -> Content:
    """The content with what its superblock says, in the `room` bytes that it lies in."""
    if found.content is None:
        return found
    with Sectors(view, offset + room) as sectors:
        said = superblock(sectors, offset, found.content)
        left = pending(sectors, offset, found.content)
    found = replace(found, members=said.members, problems=said.problems, pending=left)
    if said.length is None or said.length <= room:
        return found
    told = _("The file system says that it is {length} long, but there is room for {room} only.").format(
        length=told_size(said.length), room=told_size(room)
    )
    return replace(found, problems=(*said.problems, told), wanted=said.length)
