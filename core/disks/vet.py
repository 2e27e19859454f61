"""A disk vetted: what it is, without any other program having seen it."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.disks import nested
from core.disks.bounds import Bounds
from core.disks.formats import RAW, by_name, read_header
from core.disks.header import Source
from core.disks.model import SECTOR, Disk, Link
from core.disks.references import follow
from core.disks.snapshots import chosen, resized
from core.errors import NeedsRoot, Refused, SalvageError, WrongUsage
from core.i18n import N_, _
from core.runner import Runner
from core.text import safe

_KINDS = (
    (stat.S_ISDIR, N_("folder")),
    (stat.S_ISFIFO, N_("FIFO")),
    (stat.S_ISSOCK, N_("socket")),
    (stat.S_ISCHR, N_("character device")),
)


def vet(
    given: str,
    format: str | None,
    allow: Sequence[Path],
    runner: Runner,
    *,
    snapshot: str | None = None,
    backing: Sequence[Path] = (),
    apparent: Path | None = None,
) -> Disk:
    """Look at a disk and everything that its header points to; the disk and all that belongs to it.

    `format` is the operator's word on what it is, `allow` the paths outside the disk's folder
    that its header may point to, `snapshot` the name or number of the internal snapshot to work on,
    `backing` what stands in for missing backing files, from the top down, `apparent` where it lies, where
    that is not `given`: names in its header count from there. Raises `Refused` where opening
    it would be unsafe, `WrongUsage` for an unknown format or snapshot, `NeedsRoot` without permission, and
    `SalvageError` for what is no disk. Only reads, and only headers and tables.
    """
    runner.cancel.check()
    stated = by_name(format) if format else None
    path = resolved(given)
    nested.require_inside(Path(given).absolute(), path)
    with Source(path) as source:
        _require_content(source)
        header = read_header(source, stated)
        if header.format == RAW and source.size < SECTOR:
            raise _no_disk(source)
        stand_ins = [resolved(str(one)) for one in backing]
        bounds = Bounds.of(apparent or path, source.owner, [*allow, *stand_ins])
        chain = follow(source, header, bounds, stand_ins, apparent)
        state = chosen(header.snapshots, snapshot, path) if snapshot is not None else None
        problems = (*chain.problems, *(resized(state, header.virtual_size) if state else ()))
        return Disk(
            path=path,
            given=given,
            format=header.format,
            virtual_size=header.virtual_size,
            actual_size=source.allocated,
            chain=chain.links,
            identity=source.identity,
            mtime_ns=source.mtime_ns,
            is_block_device=source.is_block_device,
            snapshots=header.snapshots,
            problems=(*((chain.blocked,) if chain.blocked else ()), *problems),
            blocked=chain.blocked,
            way_out=chain.way_out,
            snapshot=state,
        )


def resolved(given: str) -> Path:
    """The absolute path of a disk, symbolic links resolved; raises `SalvageError` where none can be."""
    if not given or "\0" in given:
        raise WrongUsage(_("No disk is named."))
    try:
        path = Path(given).expanduser().resolve(strict=True)
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        raise SalvageError(
            _("There is no {path}.").format(path=safe(given)),
            remedy=_hint(given),
        ) from error
    except PermissionError as error:
        raise NeedsRoot(
            _("No permission to reach {path}.").format(path=safe(given)),
            _("Finding the disk is the step that needs more rights; nothing was changed."),
            _("Run the same command with sudo."),
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise SalvageError(_("{path} leads nowhere.").format(path=safe(given))) from error
    for is_kind, word in _KINDS:
        if is_kind(mode):
            raise SalvageError(
                _("{path} is a {kind}, not a disk.").format(path=safe(path), kind=_(word)),
                _("Nothing was opened."),
                _("Give an image file or a block device."),
            )
    return path


def _hint(given: str) -> str:
    if given.startswith("json:") or "://" in given:
        return _("Addresses are: nbd://, nbd+unix://, ssh://, https:// and fat:FOLDER; see the README.")
    return _(
        "Check the spelling. `virt-salvage list`, or the wizard, shows the disks that can be found here."
    )


def _require_content(source: Source) -> None:
    if source.size == 0:
        raise SalvageError(
            _("{path} is empty: this is no disk.").format(path=safe(source.path)),
            _("There is nothing in it that could be recovered."),
            _("Look for another copy of it, or for a disk with a snapshot of it."),
        )


def _no_disk(source: Source) -> SalvageError:
    return SalvageError(
        _("{path} has only {count} bytes: this is no disk.").format(
            path=safe(source.path), count=source.size
        ),
        _("A disk has at least one sector of 512 bytes."),
        _("Check that this is the right file."),
    )


def blockdev(disk: Disk, node: str, writable: bool = False) -> dict[str, Any]:
    """The disk as the JSON of ``qemu-storage-daemon --blockdev``, every link with its driver.

    Nothing in it is left to be guessed or to be read from a header; only the extents of a VMDK
    are opened by QEMU itself, and `vet` has looked at those. What wants a daemon of its own is reached
    through that daemon's socket. Raises `Refused` when the disk cannot be opened, and `SalvageError` for
    a file whose name cannot be written in JSON.
    """
    disk.require_openable()
    if disk.wants_front:
        if disk.socket is None:
            raise Refused(
                _("{path} must be served by a program of its own before it is read.").format(path=disk.title),
                _("Nothing was opened."),
                _("Write it out in another format first: virt-salvage convert."),
            )
        server = {"type": "unix", "path": str(disk.socket)}
        return {"node-name": node, "driver": "nbd", "read-only": True, "server": server}
    return {"node-name": node, **chain_graph(disk.chain, {}, writable=writable)}


def chain_graph(
    links: Sequence[Link],
    keys: Mapping[Path, str],
    below: dict[str, Any] | None = None,
    files: Mapping[Path, dict[str, Any]] | None = None,
    *,
    writable: bool = False,
) -> dict[str, Any]:
    """Links over `below` as JSON of QEMU; `files` are nodes that stand in for the own file of a link."""
    for link in reversed(links):
        below = link_node(link, below, keys, writable=writable and link is links[0])
        if files and link.path in files:
            below["file"] = files[link.path]
    assert below is not None
    return below


_WITH_BACKING = frozenset({"qcow2", "qcow", "qed", "vmdk"})


def link_node(
    link: Link, below: dict[str, Any] | None, keys: Mapping[Path, str], *, writable: bool = False
) -> dict[str, Any]:
    """One link as JSON of QEMU over what lies below it; None: by itself."""
    node: dict[str, Any] = {"driver": link.format, "read-only": not writable}
    node["file"] = file_node(link.path, link.is_block_device, writable)
    if link.window is not None:
        # the vpc driver of QEMU cuts a fixed VHD down to its CHS geometry
        node.update(driver=RAW, offset=0, size=link.window)
    elif link.format in _WITH_BACKING:
        node["backing"] = below
    if link.format == "luks":
        node["key-secret"] = keys[link.path]
    elif link.encryption:
        node["encrypt"] = {"format": link.encryption, "key-secret": keys[link.path]}
    for part in link.parts:
        if part.kind == "data":
            node["data-file"] = {
                "driver": RAW,
                "read-only": not writable,
                "file": file_node(part.path, part.is_block_device, writable),
            }
    return node


def file_node(path: Path, is_device: bool, writable: bool = False) -> dict[str, Any]:
    """A file or block device as JSON of QEMU; raises `SalvageError` for a name that is no UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise SalvageError(
            _("The name of {path} is no UTF-8, and QEMU takes no other names.").format(path=safe(path)),
            _("Nothing was opened; the disk itself is whole."),
            _("Give the file, or its folder, another name, and name that."),
        ) from error
    return {
        "driver": "host_device" if is_device else "file",
        "filename": str(path),
        "read-only": not writable,
    }
