"""Disks that the operator names by an address: on a network, behind a socket, or a folder seen as a disk.

Only what the operator types is ever taken apart like this, never a name from a header. QEMU's own drivers
do the work; their options are those of ``BlockdevOptions`` in QEMU's qapi/block-core.json.
"""

import os
import pwd
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from core.disks.tls import Credentials, credentials
from core.errors import SalvageError, WrongUsage
from core.i18n import _
from core.text import safe, size

FAT = "fat:"
_LARGEST_FOLDER = 500 << 20
"""Bytes of files that surely fit the 504 MiB of a disk in QEMU's vvfat; see init_directories there."""
_MOST_ENTRIES = 100_000
PATIENCE = 15
"""Seconds that a server may take to answer."""
_PORTS = {"ssh": 22, "nbd": 10809, "nbds": 10809, "http": 80, "https": 443}


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
    scheme: str = ""
    host: str = ""
    """Empty where it is on this host."""
    port: int = 0
    user: str = ""
    """Whose password may be asked for; empty where none can be."""
    authority: Path | None = None
    """The certificate of the authority that the web server's own is by, where the system does not know it."""
    tls: Credentials | None = None

    @property
    def login(self) -> Path:
        """As whom it lets us in: what its password is asked and kept under."""
        return Path(f"{self.scheme}:{self.user}@{self.host}:{self.port}")


def is_login(path: Path) -> bool:
    """Whether a passphrase is asked for under that name for an address, and not for an image or a volume."""
    return str(path).partition(":")[0] in ("ssh", "http", "https")


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
            _("Leave it out: it is asked for, or read with --passphrase-file. Change it: it was seen."),
        )
    return _SCHEMES[parts.scheme](given, parts)


def _placed(given: str, parts: SplitResult, **more: Any) -> Address:
    """The address with what all of them have."""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return Address(title=safe(given), scheme=parts.scheme, host=parts.hostname or "", port=port, **more)


def _nbd(given: str, parts: SplitResult) -> Address:
    """``nbd://HOST[:PORT][/EXPORT]``, ``nbds://`` with TLS: the NBD project's doc/uri.md."""
    if not parts.hostname:
        raise _wrong(given, _("it names no host"))
    server = {"type": "inet", "host": parts.hostname, "port": str(parts.port or _PORTS["nbd"])}
    return _exported(given, parts, server, on_network=True)


def _nbd_unix(given: str, parts: SplitResult) -> Address:
    """``nbd+unix:///[EXPORT]?socket=PATH``, ``nbds+unix://`` with TLS."""
    sockets = parse_qs(parts.query).get("socket", [])
    if len(sockets) != 1 or not sockets[0].startswith("/"):
        raise _wrong(given, _("it names no socket, as in nbd+unix:///?socket=/run/disk.sock"))
    return _exported(given, parts, {"type": "unix", "path": sockets[0]}, on_network=False)


def _exported(given: str, parts: SplitResult, server: dict[str, str], *, on_network: bool) -> Address:
    export = unquote(parts.path.removeprefix("/"))
    node = {"driver": "nbd", "server": server, "export": export}
    tls = None
    if parts.scheme.startswith("nbds"):
        try:
            tls = credentials(parts)
        except ValueError as error:
            raise _wrong(given, str(error)) from error
        node |= tls.node
    notes = (
        (_("What the server shows comes over the network as it is: nobody checks or hides it."),)
        if on_network and not tls
        else ()
    )
    name = PurePosixPath(export).name
    return _placed(given, parts, name=name, node=node, on_network=on_network, notes=notes, tls=tls)


def _ssh(given: str, parts: SplitResult) -> Address:
    """``ssh://[USER@]HOST[:PORT]/PATH``; the host's key must be a known one, see ssh(1)."""
    if not parts.hostname or len(parts.path) < 2:
        raise _wrong(given, _("it names no host or no file, as in ssh://host/path/disk.qcow2"))
    user = unquote(parts.username or "") or pwd.getpwuid(os.geteuid()).pw_name
    node: dict[str, Any] = {
        "driver": "ssh",
        "server": {"host": parts.hostname, "port": str(parts.port or _PORTS["ssh"])},
        "path": unquote(parts.path),
        "host-key-check": {"mode": "known_hosts"},
        "user": user,
    }
    return _placed(given, parts, name=PurePosixPath(node["path"]).name, node=node, user=user)


def _web(given: str, parts: SplitResult) -> Address:
    """``https://[USER@]HOST[:PORT]/PATH[#ca=FILE]``; what stands behind the # never reaches the server."""
    if not parts.hostname or len(parts.path) < 2:
        raise _wrong(given, _("it names no host or no file, as in https://host/path/disk.qcow2"))
    authority = _authority(given, parts)
    user = unquote(parts.username or "")
    where = parts.netloc.rpartition("@")[2]
    node = {
        "driver": parts.scheme,
        "url": urlunsplit((parts.scheme, where, parts.path, parts.query, "")),
        "timeout": PATIENCE,
    }
    if user:
        node["username"] = user
    plain = _("It comes over the network as it is: anybody on the way can read or change it.")
    bare = _("The password too goes over the network as it is.")
    notes = ((plain, bare) if user else (plain,)) if parts.scheme == "http" else ()
    name = PurePosixPath(unquote(parts.path)).name
    return _placed(given, parts, name=name, node=node, notes=notes, user=user, authority=authority)


def _authority(given: str, parts: SplitResult) -> Path | None:
    """The file behind ``#ca=``."""
    name, _equals, value = parts.fragment.partition("=")
    if not parts.fragment:
        return None
    if name != "ca" or not value.startswith("/") or parts.scheme != "https":
        raise _wrong(
            given, _("behind # can only stand the certificate of an authority, as in #ca=/root/ca.pem")
        )
    path = Path(unquote(value))
    if not path.is_file():
        raise SalvageError(_("There is no {path}.").format(path=safe(path)), _("Nothing was opened."))
    return path


_SCHEMES: dict[str, Callable[[str, SplitResult], Address]] = {
    "nbd": _nbd,
    "nbds": _nbd,
    "nbd+unix": _nbd_unix,
    "nbds+unix": _nbd_unix,
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
