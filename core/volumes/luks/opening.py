"""Opening an encrypted volume: its key by cryptsetup, its data by the kernel, or by QEMU without it.

``cryptsetup open`` is not used: the device that it makes shows what is inside to everybody, and the rules of
udev activate a volume group in it within a second (seen with lvm2 2.03.16 of Debian 12). Here cryptsetup
only gets a copy of the header and tells the volume key, and dm-crypt gets a table of our own by which the
data stand between zeros, see `core.volumes.tables`. The key goes through pipes.

Without the device mapper QEMU's own driver opens LUKS1. It does not know LUKS2.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from core.command import Command, Limits, Variable
from core.disks.view import View
from core.errors import NeedsPassphrase, NoSpace, Refused, SalvageError
from core.i18n import _
from core.runner import CommandFailed, Runner
from core.secrets import Secret, all_handed
from core.tables.content import Content
from core.tables.sectors import Sectors, length
from core.text import safe, size
from core.undo.stack import Stack
from core.volumes import joined, tables
from core.volumes.loop import attach_bytes
from core.volumes.luks import integrity
from core.volumes.luks.header import CONTENT, Header, read_header, told
from core.volumes.model import Encrypted, Volume, of_layer
from core.volumes.readable import Nothing, Window
from core.volumes.space import Space

_WRONG = 2
"""Exit status of cryptsetup(8): no permission, the passphrase does not fit."""
_KEY = re.compile(rb"MK dump:\s*((?:[0-9a-fA-F]{2}\s+)+)", re.DOTALL)

_DUMP = ("cryptsetup", "luksDump", "--batch-mode", "--dump-master-key", "--key-file")
ASKED = Variable("$PASSPHRASE_FILE")
PATIENCE = Limits(memory=6 << 30, processor=900, wall=600.0)
"""Argon2 takes up to 4 GiB and, where the disk came from a faster machine, minutes."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Where the encrypted data lie in the view, in bytes, and what belongs to them."""

    header: Header
    offset: int
    size: int
    apart: Path | None
    sums: integrity.Superblock | None = None


def encrypted(space: Space, outer: Volume, apart: Path | None = None) -> Volume | None:
    """What lies in a volume that is a run of the space, as a locked volume; None where it is not encrypted.

    The header lies before the data, or in the file `apart`.
    """
    if outer.content not in (None, CONTENT) and not apart:
        return None
    if apart:
        with Sectors(apart, length(apart)) as sectors:
            header = read_header(sectors, 0, sectors.size)
    else:
        header = read_header(Window(space.source, outer.offset, outer.size), 0, outer.size)
    if header is None and outer.content is None:
        return None
    content = Content(None, header.label or None, header.uuid) if header else Content(None)
    problems = tuple(told(header)) if header else (no_header(outer).what,)
    size = header.size or max(0, outer.size - header.data) if header else 0
    sums = None
    if header and header.checksum:
        sums = integrity.read_superblock(Window(space.source, outer.offset, outer.size), header.data)
        size = sums.size if sums else 0
        problems += () if sums else (_no_checksums(outer).what,)
    layer = Encrypted(outer, header, apart, sums=sums)
    content = replace(content, problems=problems)
    made = of_layer(f"{outer.id}/luks", "luks", size, content, outer.id, space.under, layer)
    return replace(made, locked=True)


def by_header(outer: Volume, apart: Path, runner: Runner, scratch: Path) -> Volume:
    """The locked volume in `outer` whose header the file `apart` is; SalvageError where it is none."""
    made = encrypted(Space(Nothing(), runner, scratch, under=outer.under), outer, apart)
    if made is None or not isinstance(made.layer, Encrypted) or made.layer.header is None:
        raise SalvageError(
            _("{path} has no header of LUKS that makes sense.").format(path=safe(apart)),
            _("The disk is untouched."),
            _("Give a file that was made with cryptsetup luksHeaderBackup, or a detached header."),
        )
    return made


def open_encrypted(
    stack: Stack,
    view: View,
    outer: Volume,
    locked: Encrypted,
    secret: Secret | None,
    folder: Path,
    *,
    tie: bool,
) -> tuple[View, int]:
    """Open an encrypted volume: the view with its decrypted bytes, and where in that they begin.

    `outer` is the one around them as it lies in `view`, `folder` the session's own; a plan has no
    `secret`. Raises `NeedsPassphrase` for a wrong one.
    """
    header, apart = locked.header, locked.apart
    if header is None:
        raise no_header(outer)
    if header.hindrance:
        raise closed(header.hindrance)
    layer = Payload(
        header, outer.offset + header.data, header.size or outer.size - header.data, apart, locked.sums
    )
    if not 0 < layer.size <= outer.size - header.data:
        raise _cut_short(outer)
    lacks = tables.problem()
    if lacks and (header.version != 1 or apart):
        raise SalvageError(
            lacks,
            _("The disk is untouched. Without it only LUKS1 with its header in its place can be opened."),
            _("Open the disk on a host with the device mapper, and the packages dmsetup and cryptsetup."),
        )
    if lacks:
        return _by_qemu(stack, view, outer, layer, secret, folder, tie=tie), 0
    key = _volume_key(stack, view, outer, layer, secret, folder)
    return _by_kernel(stack, view, outer, layer, key, folder.name), tables.MARGIN


def no_header(outer: Volume) -> SalvageError:
    """The error for an encrypted volume whose header is lost."""
    return SalvageError(
        _("No header of LUKS that makes sense was found for {volume}.").format(volume=outer.title),
        _("Without it nobody can decrypt the data."),
        _("If there is a backup of the header (cryptsetup luksHeaderBackup), give it with --header."),
    )


def _cut_short(volume: Volume) -> SalvageError:
    return SalvageError(
        _("The data that the header of {volume} names do not lie in it.").format(volume=volume.title),
        _("The table or the disk may have been cut short, or the header belongs to another disk."),
    )


def _by_kernel(stack: Stack, view: View, volume: Volume, layer: Payload, key: bytes, session: str) -> View:
    why = _("Attach the data of {volume}, without its header.").format(volume=volume.title)
    device, shown = attach_bytes(stack, view, layer.offset, layer.size, why).path, layer.size
    header, cipher = layer.header, layer.header.cipher
    more = [f"sector_size:{header.sector}"] if header.sector != 512 else []
    if header.checksum:
        if layer.sums is None:
            raise _no_checksums(volume)
        shown, cipher = layer.sums.size, integrity.cipher(cipher, header.checksum)
        more.insert(0, integrity.option(header.checksum, layer.sums))
        below = integrity.below(device, layer.sums, writable=view.writable)
        why = _("Let the kernel bring data and their checksums (dm-integrity) together.")
        maker = tables.Maker(stack, "luks", session, why, view.writable)
        device = maker.create([tables.Line(0, shown, below, (device,))])
    words = ["crypt", cipher, key.hex(), str(header.skip), device, "0"]
    table = " ".join([*words, *([str(len(more)), *more] if more else [])])
    lines = tables.hidden([tables.Line(0, shown, table, (device,))])
    why = _("Let the kernel decrypt it, read-only; the table with the key goes through a pipe.")
    path = tables.Maker(stack, "luks", session, why, view.writable).create_secretly(lines)
    return View(Path(path), shown + 2 * tables.MARGIN, writable=view.writable, on=(path,))


def _no_checksums(volume: Volume) -> SalvageError:
    return SalvageError(
        _("Where {volume} keeps its checksums (dm-integrity) is damaged.").format(volume=volume.title),
        _("Without it nobody knows where its data lie. The disk is untouched."),
        _("`virt-salvage backup` saves it as it is."),
    )


def _volume_key(
    stack: Stack,
    view: View,
    volume: Volume,
    layer: Payload,
    secret: Secret | None,
    folder: Path,
) -> bytes:
    """The key that the data are encrypted with, by one of the passphrases that the header knows."""
    command = Command(
        (*_DUMP, ASKED, str(folder / "luks-header")),
        why=_("Get the key of the data out of a copy of the header, by the passphrase."),
        limits=PATIENCE,
        secret=True,
    )
    if secret is None:
        stack.runner.perform(replace(command, by_hand=True), lambda: None, planned=None)
        return bytes(64)
    with _copied(view, layer, folder) as copy, secret.handed() as fd:
        argv = (*command.argv[:-2], f"/dev/fd/{fd}", str(copy))
        try:
            result = stack.runner.run(replace(command, argv=argv), (fd,))
        except CommandFailed as failure:
            if failure.result.status == _WRONG:
                raise wrong(volume) from failure
            raise not_opened(volume, failure, layer) from failure
    found = _KEY.search(result.out)
    if not found:
        raise not_opened(volume, None, layer)
    return bytes.fromhex(found[1].decode())


@contextmanager
def _copied(view: View, layer: Payload, folder: Path) -> Iterator[Path]:
    """A copy of the header in a file that goes again: cryptsetup repairs a damaged one if it can."""
    source, offset, count = view.path, layer.offset - layer.header.data, layer.header.length
    if layer.apart:
        source, offset = layer.apart, 0
    copy = folder / "luks-header"
    try:
        with Sectors(source, offset + count) as sectors:
            _write_sparse(copy, sectors, offset, count, count if layer.apart else layer.header.data)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _write_sparse(copy: Path, sectors: Sectors, offset: int, count: int, begin: int) -> None:
    """Write `count` bytes to a new file, with room for data from `begin` on, as cryptsetup wants it."""
    with new_file(copy) as fd:
        for at in range(0, count, 1 << 20):
            data = sectors.read(offset + at, min(1 << 20, count - at))
            if data.strip(b"\0"):
                os.pwrite(fd, data, at)
        os.ftruncate(fd, max(count, begin) + (1 << 20))


@contextmanager
def new_file(copy: Path) -> Iterator[int]:
    """A new file to write the copy of a header to; raises `NoSpace` where that cannot be done."""
    try:
        fd = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            yield fd
        finally:
            os.close(fd)
    except OSError as error:
        raise NoSpace(
            _("The header cannot be copied to {path}: {reason}.").format(
                path=safe(copy.parent), reason=os.strerror(error.errno or 0)
            ),
            _("Nothing was opened."),
            _("Make room there, or give another folder with --state-dir."),
        ) from error


def _by_qemu(
    stack: Stack,
    view: View,
    volume: Volume,
    layer: Payload,
    secret: Secret | None,
    folder: Path,
    *,
    tie: bool,
) -> View:
    start = layer.offset - layer.header.data
    path = folder / f"luks-{stack.number}.raw"
    make = Command(("touch", str(path)), _("Make the place where it will appear."), _("an empty file"))
    stack.runner.run(make)
    window = {
        "driver": "raw",
        "offset": start,
        "size": layer.header.data + layer.size,
        "read-only": True,
        "file": {"driver": "file", "filename": str(view.path), "read-only": True},
    }
    node = {"node-name": "volume", "driver": "luks", "key-secret": "key", "read-only": True, "file": window}
    with all_handed([secret] if secret else []) as pipes:
        place = f"/dev/fd/{pipes[0]}" if pipes else ASKED
        given = ("--object", Variable(f"secret,id=key,file={place}"))
        try:
            return joined.export(
                stack,
                node,
                path,
                layer.size,
                volume.title,
                on=view.on,
                tie=tie,
                secrets=given,
                pass_fds=pipes,
            )
        except SalvageError as error:
            if "Invalid password" in error.what:
                raise wrong(volume) from error
            raise


def wrong(outer: Volume, id: str = "") -> NeedsPassphrase:
    """The error for a passphrase that does not fit; `id` is that of what lies inside."""
    return NeedsPassphrase(
        Path(id or f"{outer.id}/luks"),
        _("The passphrase does not open {volume}.").format(volume=outer.title),
        _("Nothing was changed; it can be tried as often as you like."),
        _("Check the keyboard layout, capital letters, and that this is the right disk."),
        again=True,
    )


def closed(hindrance: str) -> Refused:
    """The error for a volume that no key opens, for the reason that its header or its metadata tell."""
    return Refused(hindrance, _("The disk is untouched."), _("`virt-salvage backup` saves it as it is."))


def needed(volume: Volume) -> NeedsPassphrase:
    """The error for the passphrase of a locked volume that nobody gave."""
    return NeedsPassphrase(
        Path(volume.id),
        _("{volume} can only be read with its passphrase, which was not given.").format(
            volume=volume.title[:1].upper() + volume.title[1:]
        ),
        _("Nothing was changed."),
        _("Give it with --passphrase-file, with --passphrase-fd, or at a terminal when asked."),
    )


def not_opened(volume: Volume, failure: CommandFailed | None, layer: Payload | None = None) -> SalvageError:
    """The error for a volume whose key cryptsetup did not tell."""
    remedy = _("`virt-salvage backup` saves the disk as it is; its header may be damaged.")
    if layer and layer.header.memory:
        remedy = _("Trying a passphrase takes {memory} of memory: see that so much is free.").format(
            memory=size(layer.header.memory)
        )
    return SalvageError(
        _("cryptsetup could not open {volume}: {message}").format(
            volume=volume.title, message=failure.what if failure else _("it told no key")
        ),
        _("The disk was only read."),
        remedy,
    )
