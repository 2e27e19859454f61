"""Opening a volume that Windows encrypted with BitLocker, for reading.

As with LUKS, cryptsetup only gets a copy of the metadata and tells the key; the table is one of ours.
"""

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from core.command import Command
from core.disks.view import View
from core.errors import Cancelled, NeedsPassphrase, SalvageError
from core.i18n import _
from core.runner import CommandFailed
from core.secrets import Secret
from core.tables.content import Content
from core.tables.sectors import Sectors
from core.text import safe
from core.undo.stack import Stack
from core.volumes import tables
from core.volumes.loop import attach_bytes
from core.volumes.luks import opening
from core.volumes.luks.bitlocker import AREA, CONTENT, Metadata, read_metadata
from core.volumes.model import Encrypted, Volume, of_layer
from core.volumes.readable import Window
from core.volumes.space import Space

_DUMP = ("cryptsetup", "bitlkDump", "--batch-mode", "--dump-volume-key", "--key-file")
_COPY = "bitlocker-metadata"
_KEY = re.compile(rb"(?:MK|Volume Key) dump:\s*((?:[0-9a-fA-F]{2}\s+)+)", re.IGNORECASE)


def locked_volume(space: Space, outer: Volume) -> Volume | None:
    """What lies in a volume that is a run of the space, as a locked volume; None where it is no BitLocker."""
    # libblkid looks at the first copy of the metadata only
    if outer.content not in (None, CONTENT):
        return None
    metadata = read_metadata(Window(space.source, outer.offset, outer.size), outer.size)
    if metadata is None:
        return None
    content = Content(None, None, metadata.guid or None, problems=tuple(_told(metadata)))
    layer = Encrypted(outer, None, bitlocker=metadata)
    size = outer.size // metadata.sector * metadata.sector
    made = of_layer(f"{outer.id}/bitlocker", "luks", size, content, outer.id, space.under, layer)
    return replace(made, locked=True)


def _told(metadata: Metadata) -> Iterator[str]:
    if not metadata.moved_size:
        yield metadata.hindrance
        return
    yield _("BitLocker, {cipher}; it opens with its password or the recovery key of 48 digits.").format(
        cipher=safe(metadata.cipher or "?")
    )
    yield from metadata.problems
    if metadata.hindrance:
        yield metadata.hindrance


def open_bitlocker(
    stack: Stack, view: View, outer: Volume, locked: Volume, secret: Secret | None, session: Path
) -> tuple[View, int]:
    """Open the `locked` volume in `outer`: the view with its decrypted bytes, and where in that they begin.

    `session` is the session's folder; a plan has no `secret`. Raises `NeedsPassphrase` for a wrong one.
    """
    metadata = locked.layer.bitlocker if isinstance(locked.layer, Encrypted) else None
    assert metadata
    if metadata.hindrance:
        raise opening.closed(metadata.hindrance)
    tables.require()
    metadata, key = _fitting(stack, view, outer, metadata, secret, session)
    why = _("Attach {volume} as it is, encrypted.").format(volume=outer.title)
    device = attach_bytes(stack, view, outer.offset, outer.size, why).path
    more = f" 2 sector_size:{metadata.sector} iv_large_sectors" if metadata.sector != 512 else ""
    lines = []
    for start, length, place in metadata.parts(locked.size):
        target, on = "zero", tuple[str, ...]()
        if place is not None:
            at = tables.sectors(place)
            target, on = f"crypt {metadata.cipher} {key.hex()} {at} {device} {at}{more}", (device,)
        lines.append(tables.Line(start, length, target, on))
    why = _("Let the kernel decrypt it, read-only; the table with the key goes through a pipe.")
    maker = tables.Maker(stack, "luks", session.name, why, view.writable)
    path = maker.create_secretly(tables.hidden(lines))
    size = locked.size + 2 * tables.MARGIN
    return View(Path(path), size, writable=view.writable, on=(path,)), tables.MARGIN


def _fitting(
    stack: Stack, view: View, outer: Volume, metadata: Metadata, secret: Secret | None, folder: Path
) -> tuple[Metadata, bytes]:
    """The key of the data, and the copy of the metadata that it is in: where they differ, each is tried."""
    failures: list[SalvageError] = []
    for one in (metadata, *metadata.others):
        try:
            return one, _key(stack, view, outer, one, secret, folder)
        except Cancelled:
            raise
        except SalvageError as error:
            failures.append(error)
    raise next((one for one in failures if isinstance(one, NeedsPassphrase)), failures[0])


def _key(
    stack: Stack, view: View, outer: Volume, metadata: Metadata, secret: Secret | None, folder: Path
) -> bytes:
    command = Command(
        (*_DUMP, opening.ASKED, str(folder / _COPY)),
        why=_("Get the key of the data out of a copy of the metadata, by the passphrase."),
        limits=opening.PATIENCE,
        secret=True,
    )
    if secret is None:
        stack.runner.perform(replace(command, by_hand=True), lambda: None, planned=None)
        return bytes(64)
    with _copied(view, outer, metadata, folder) as copy, secret.handed() as fd:
        argv = (*command.argv[:-2], f"/dev/fd/{fd}", str(copy))
        try:
            result = stack.runner.run(replace(command, argv=argv), (fd,))
        except CommandFailed as failure:
            if failure.result.status in (1, 2):
                raise opening.wrong(outer, f"{outer.id}/bitlocker") from failure
            raise opening.not_opened(outer, failure) from failure
    found = _KEY.search(result.out)
    if not found:
        raise opening.not_opened(outer, None)
    return bytes.fromhex(found[1].decode())


@contextmanager
def _copied(view: View, outer: Volume, metadata: Metadata, folder: Path) -> Iterator[Path]:
    """The boot sector and the metadata in a file of their own that goes again, as long as the volume.

    The boot sector in it names the copy that is whole as the first: cryptsetup looks at no other.
    """
    copy = folder / _COPY
    first = metadata.areas[metadata.used]
    places = (first, *(one for one in metadata.areas if one != first))
    try:
        with Sectors(view.path, outer.offset + outer.size) as sectors, opening.new_file(copy) as fd:
            boot = bytearray(sectors.read(outer.offset, 512))
            struct.pack_into("<3Q", boot, metadata.places_at, *places)
            os.pwrite(fd, boot, 0)
            os.pwrite(fd, sectors.read(outer.offset + first, AREA), first)
            os.ftruncate(fd, outer.size)
        yield copy
    finally:
        copy.unlink(missing_ok=True)
