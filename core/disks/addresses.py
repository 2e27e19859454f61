"""Disks that the operator names by an address: on a network, behind a socket, or a folder seen as a disk.

Only what the operator types is ever taken apart like this, never a name from a header. QEMU's own drivers
do the work; their options are those of ``BlockdevOptions`` in QEMU's qapi/block-core.json.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from core.errors import SalvageError, WrongUsage
from core.i18n import _
from core.text import safe, size

FAT = "fat:"
_LARGEST_FOLDER = 500 << 20
"""Bytes of files that surely fit the 504 MiB of a disk in QEMU's vvfat; see init_directories there."""
_MOST_ENTRIES = 100_000
_PATIENCE = 30
"""Seconds that a web server may take to answer."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where bytes come from that are no file of this host."""

    title: str
    """Safe to show."""
    name: str
    """The last part of its path: its suffix says something of its content."""
    node: dict[str, Any]
    """What gives the bytes, as JSON of QEMU."""
    on_network: bool = True
    notes: tuple[str, ...] = ()


def is_address(given: str) -> bool:
    """Whether it is an address and not a path; a file whose name looks like one is given with ``./``."""
    return given.startswith((FAT, *(f"{scheme}://" for scheme in _SCHEMES)))


def address(given: str) -> Address:
    """What an address means; raises `WrongUsage` for a broken one, `SalvageError` for a bad folder."""
    if given.startswith(FAT):
        return _folder(given)
    try:
        parts = urlsplit(given)
        _port = parts.port
    except ValueError as error:
        raise _wrong(given, _("it is no valid address")) from error
    if parts.password is not None:
        raise WrongUsage(
            _("The address has a password in it, and every user of this host could read that."),
            _("Nothing was opened."),
            _("Fetch the image with a program that takes the password from you, and open the file."),
        )
    return _SCHEMES[parts.scheme](given, parts)


def _nbd(given: str, parts: SplitResult) -> Address:
    """``nbd://HOST[:PORT][/EXPORT]``: the URI specification of the NBD project, doc/uri.md."""
    if not parts.hostname:
        raise _wrong(given, _("it names no host"))
    server = {"type": "inet", "host": parts.hostname, "port": str(parts.port or 10809)}
    return _exported(given, parts, server, on_network=True)


def _nbd_unix(given: str, parts: SplitResult) -> Address:
    """``nbd+unix:///[EXPORT]?socket=PATH``."""
    sockets = parse_qs(parts.query).get("socket", [])
    if len(sockets) != 1 or not sockets[0].startswith("/"):
        raise _wrong(given, _("it names no socket, as in nbd+unix:///?socket=/run/disk.sock"))
    return _exported(given, parts, {"type": "unix", "path": sockets[0]}, on_network=False)


def _exported(given: str, parts: SplitResult, server: dict[str, str], *, on_network: bool) -> Address:
    export = unquote(parts.path.removeprefix("/"))
    node = {"driver": "nbd", "server": server, "export": export}
    notes = (
        (_("What the server shows comes over the network as it is: nobody checks or hides it."),)
        if on_network
        else ()
    )
    return Address(safe(given), PurePosixPath(export).name, node, on_network, notes)


def _ssh(given: str, parts: SplitResult) -> Address:
    """``ssh://[USER@]HOST[:PORT]/PATH``; the host's key must be a known one, see ssh(1)."""
    if not parts.hostname or len(parts.path) < 2:
        raise _wrong(given, _("it names no host or no file, as in ssh://host/path/disk.qcow2"))
    node: dict[str, Any] = {
        "driver": "ssh",
        "server": {"host": parts.hostname, "port": str(parts.port or 22)},
        "path": unquote(parts.path),
        "host-key-check": {"mode": "known_hosts"},
    }
    if parts.username:
        node["user"] = unquote(parts.username)
    return Address(safe(given), PurePosixPath(node["path"]).name, node)


def _web(given: str, parts: SplitResult) -> Address:
    if not parts.hostname or len(parts.path) < 2:
        raise _wrong(given, _("it names no host or no file, as in https://host/path/disk.qcow2"))
    node = {"driver": parts.scheme, "url": given, "timeout": _PATIENCE}
    plain = _("It comes over the network as it is: anybody on the way can read or change it.")
    notes = (plain,) if parts.scheme == "http" else ()
    return Address(safe(given), PurePosixPath(unquote(parts.path)).name, node, notes=notes)


_SCHEMES: dict[str, Callable[[str, SplitResult], Address]] = {
    "nbd": _nbd,
    "nbd+unix": _nbd_unix,
    "ssh": _ssh,
    "https": _web,
    "http": _web,
}


def _folder(given: str) -> Address:
    """A folder of this host as a disk with one FAT partition, by QEMU's vvfat."""
    path = Path(given.removeprefix(FAT)).expanduser()
    if not path.is_dir():
        raise SalvageError(
            _("{path} is no folder of this host.").format(path=safe(path)), _("Nothing was opened.")
        )
    total, links = _measured(path)
    if total > _LARGEST_FOLDER:
        raise SalvageError(
            _("The folder {path} is too large to be shown as a disk: {size}, and {most} fit.").format(
                path=safe(path), size=size(total), most=size(_LARGEST_FOLDER)
            ),
            _("Nothing was opened; its files lie on this host already."),
        )
    notes = [_("What is shown is a folder of this host as a FAT disk; its files are read as they are now.")]
    if links:
        notes.append(
            _("The folder has symbolic links ({count}): what they lead to is shown in their place.").format(
                count=links
            )
        )
    node = {"driver": "vvfat", "dir": str(path.resolve()), "floppy": False}
    return Address(safe(given), "", node, on_network=False, notes=tuple(notes))


def _measured(folder: Path) -> tuple[int, int]:
    """Bytes of all files in a folder, and how many symbolic links there are; looks no further when large."""
    total = links = seen = 0
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                status = os.lstat(os.path.join(place, name))
            except OSError:
                continue
            links += stat.S_ISLNK(status.st_mode)
            total += status.st_size if name in files else 0
        seen += len(folders) + len(files)
        if total > _LARGEST_FOLDER or seen > _MOST_ENTRIES:
            break
    return total, links


def _wrong(given: str, why: str) -> WrongUsage:
    return WrongUsage(
        _("The address {address} cannot be used: {reason}.").format(address=safe(given), reason=why)
    )
