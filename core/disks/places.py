"""Where an image lies that is no file of this host by itself: at an address, compressed, in an archive.

Layer by layer its bytes are brought to light as a file in the session's folder, in place where they can be
read in place; that file is then vetted and opened as any other. Nothing of it is looked at by QEMU before:
the daemons here show bytes and know no format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from core.disks import remote
from core.disks.addresses import Address, address, is_address
from core.disks.export import NODE, export
from core.disks.header import Source
from core.disks.model import SECTOR, Disk
from core.disks.nbdkit import serve_by_nbdkit
from core.disks.packed import Packing, inner_name, member, packing, xz_blocks
from core.disks.remote import Watcher
from core.disks.unpacking import unpack
from core.disks.vet import resolved
from core.errors import Refused, WrongUsage
from core.files.progress import Listener
from core.i18n import _
from core.secrets import Secret
from core.text import safe
from core.undo.stack import Stack

_DEEPEST = 4
"""A disk in an archive that is compressed, and so on."""
_IN_PLACE = 64 << 20
"""Bytes of the longest block of an .xz file that is read in place: each is unpacked for any byte in it."""
_KEPT = 256 << 20
"""Bytes of unpacked blocks that are kept."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One step towards the image's bytes: what is shown or unpacked, out of the file that came before."""

    name: str
    """What the result is called in its own place; its suffix is kept."""
    title: str
    address: Address | None = None
    """Where the bytes come from, where that is no file."""
    with_password: bool = False
    """Whether a password lets us in there."""
    window: tuple[int, int] | None = None
    """Offset and bytes of a member in the file below."""
    packed: Packing | None = None
    in_place: int = 0
    """Bytes of the longest block, where the packed file is read in place."""
    length: int | None = None
    """Bytes of what is packed, where the file tells."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """The image's bytes as a file."""

    path: Path
    title: str
    """Where it really lies, safe to show."""
    apparent: Path
    """What relative names in its header count from."""
    layers: tuple[Layer, ...]
    notes: tuple[str, ...]

    def disk(self, vetted: Disk, given: str) -> Disk:
        """The disk that was vetted there, as it is told to the operator."""
        problems = (*self.notes, *vetted.problems)
        return replace(vetted, given=given, origin=self.title, is_shown=True, problems=problems)

    def foreseen(self, disk: Disk) -> Disk:
        """The disk that another session found, as it would be here."""
        chain = (replace(disk.chain[0], path=self.path), *disk.chain[1:])
        return replace(disk, path=self.path, chain=chain)


def is_elsewhere(given: str, format: str | None) -> bool:
    """Whether what the operator named must be brought to light first: an address, or a packed file.

    What is stated to be of a format is opened as that. Raises what `core.disks.vet` raises for no file.
    """
    if is_address(given):
        return True
    if format is not None:
        return False
    with Source(resolved(given)) as source:
        return packing(source) is not None


def reach(
    stack: Stack,
    given: str,
    folder: Path,
    *,
    member: str | None,
    listener: Listener | None,
    tie: bool,
    format: str | None = None,
    planned: Sequence[Layer] = (),
    secrets: Mapping[Path, Secret],
    watch: Watcher,
) -> Reached:
    """Bring the bytes of what `given` names to light in `folder`, the session's own, on the undo stack.

    `planned` are the layers that another session found, for a plan that may not look; `secrets` the
    passwords of addresses; `watch` is told of each server that is read from. Raises
    `NeedsPassphrase` where one is missing or wrong, `SalvageError` where
    something on the way cannot be opened, `WrongUsage` where the member is not clear.
    """

    if is_address(given):
        path: Path | None = None
        apparent = folder / "nowhere" / "image"  # what lies in the folder is no part of a disk
        layer: Layer | None = planned[0] if planned else _at_address(given, secrets)
    else:
        path = apparent = resolved(given)
        layer = planned[0] if planned else _inside(path, path.name, safe(path), member)
    found: list[Layer] = []
    while layer:
        if len(found) == _DEEPEST:
            raise Refused(
                _("{title} is packed more than {count} times over.").format(
                    title=layer.title, count=_DEEPEST
                ),
                _("Nothing was opened."),
                _("Unpack it yourself, and open the file."),
            )
        found.append(layer)
        place = folder / f"image{len(found)}{_suffix(layer.name)}"
        notes: tuple[str, ...] = ()
        if layer.address:
            secret, password = secrets.get(layer.address.login), layer.with_password
            remote.show(stack, layer.address, place, secret, watch, with_password=password, tie=tie)
        else:
            assert path
            notes = _put_up(stack, layer, path, place, listener, tie=tie)
        found[-1] = replace(layer, notes=(*layer.notes, *notes))
        path = place
        if planned:
            layer = planned[len(found)] if len(found) < len(planned) else None
        else:
            layer = None if format else _inside(place, layer.name, layer.title, member)
    assert path
    if member is not None and not any(one.window for one in found):
        raise WrongUsage(_("{path} is no archive.").format(path=found[-1].title))
    told = tuple(note for one in found for note in one.notes)
    return Reached(path, found[-1].title, apparent, tuple(found), told)


def _suffix(name: str) -> str:
    """The suffix of a name, where it can stand in a file name of ours."""
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) < 12 else ""


def _at_address(given: str, secrets: Mapping[Path, Secret]) -> Layer:
    found = address(given)
    told = found.login in secrets
    return Layer(found.name, found.title, address=found, with_password=told, notes=found.notes)


def _inside(path: Path, name: str, title: str, wanted: str | None) -> Layer | None:
    """What a file holds that must be brought to light; None for a file that is the image itself."""
    with Source(path) as source:
        kind = packing(source)
        if kind is None:
            return None
        if kind == "tar":
            one, notes = member(source, wanted)
            told = _("{member} in {archive}").format(member=safe(one.name), archive=title)
            return Layer(one.name, told, window=(one.offset, one.size), notes=notes)
        blocks = xz_blocks(source) if kind == "xz" else None
    told = _("what is packed in {path}").format(path=title)
    length = blocks.total if blocks else None
    in_place = blocks.largest if blocks and 0 < blocks.largest <= _IN_PLACE else 0
    return Layer(inner_name(name), told, packed=kind, in_place=in_place, length=length)


def _put_up(
    stack: Stack, layer: Layer, below: Path, place: Path, listener: Listener | None, *, tie: bool
) -> tuple[str, ...]:
    """Put one layer up at `place`, out of the file `below`; what must be known of it."""
    graph: dict[str, Any] = {"node-name": NODE, "driver": "raw", "read-only": True}
    if layer.packed and layer.in_place:
        socket = _serve_xz(stack, below, place, layer.in_place, tie=tie)
        node = {"driver": "nbd", "server": {"type": "unix", "path": str(socket)}}
        on: tuple[str, ...] = (str(socket),)
    elif layer.packed:
        return unpack(stack, below, layer.packed, place, layer.length, listener)
    else:
        assert layer.window
        offset, length = layer.window
        node = {"driver": "file", "filename": str(below)}
        # QEMU takes whole sectors only, and a tar archive fills up to them with zeros
        graph.update(offset=offset, size=-(-length // SECTOR) * SECTOR)
        on = (str(below),) if below.parent == place.parent else ()
    graph["file"] = {**node, "read-only": True}
    why = _("Show the bytes of the image, where they are, as a file; no format is looked at.")
    export(stack, graph, place, tie=tie, on=on, why=why)
    return ()


def _serve_xz(stack: Stack, path: Path, place: Path, largest: int, *, tie: bool) -> Path:
    """Serve what is in an .xz file over a socket; see nbdkit-xz-filter(1)."""
    socket = place.with_name(f"{place.stem.replace('image', 'x')}.nbd")
    serve_by_nbdkit(
        stack,
        (
            "--filter=xz",
            "file",
            f"file={path}",
            f"xz-max-block={largest}",
            f"xz-max-depth={max(1, min(8, _KEPT // largest))}",
        ),
        socket,
        place.with_name("nbdkit.log"),
        _("Read the packed file in place, block by block, without unpacking it."),
        _("a daemon that serves the unpacked bytes over a socket in the state folder"),
        on=(str(path),) if path.parent == place.parent else (),
        tie=tie,
    )
    return socket
