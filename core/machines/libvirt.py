"""libvirt's machines, read from its own files: definitions, the state of those that run, storage pools.

No daemon is asked: ``virsh`` may start one and may hang with it. The formats are those of
https://libvirt.org/formatdomain.html and formatstorage.html; a status file is what virDomainObjFormat in
src/conf/domain_conf.c writes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from core import host
from core.i18n import _
from core.machines import trusted
from core.machines.markup import Element, parsed
from core.machines.model import Device, MachineDisk, VirtualMachine
from core.machines.places import Places
from core.text import safe

_DEVICES: dict[str, Device] = {"cdrom": "cdrom", "floppy": "floppy"}
_PORTED = frozenset({"nbd", "ssh", "http", "https", "ftp", "ftps", "iscsi", "gluster"})
_FOLDERS = frozenset({"dir", "fs", "netfs", "vstorage"})
_DEVICE_FOLDERS = frozenset({"logical", "disk", "iscsi", "scsi", "mpath"})


@dataclass(frozen=True, slots=True)
class Pool:
    """A storage pool: volumes by their names."""

    kind: str
    path: str
    source: str

    def volume(self, name: str) -> str:
        """Where a volume is; empty when that cannot be told from its name."""
        if "/" in name or name in ("", ".", ".."):
            return ""
        if self.kind in _FOLDERS or self.kind in _DEVICE_FOLDERS:
            return f"{self.path.rstrip('/')}/{name}" if self.path.startswith("/") else ""
        if self.kind == "zfs" and self.source:
            return f"/dev/zvol/{self.source}/{name}"
        return ""


def machines(places: Places) -> list[VirtualMachine]:
    """The machines that are defined or run, of the system and of the user who looks, by name."""
    found: dict[tuple[str, str], VirtualMachine] = {}
    for daemon in _daemons(places):
        pools = _pools(daemon)
        for _name, data in trusted.contents(daemon.folder / "qemu", ".xml", daemon.owners):
            machine = definition(data, pools)
            if machine:
                found[str(daemon.folder), machine.name] = machine
        for _name, data in trusted.contents(daemon.running, ".xml", daemon.owners):
            machine = definition(data, pools)
            if machine and machine.pid and host.started(machine.pid) is not None:
                # What it has now counts: a snapshot puts another image on top
                found[str(daemon.folder), machine.name] = replace(machine, running=True)
    return sorted(found.values(), key=lambda machine: machine.name)


def folders(places: Places) -> list[Path]:
    """The folders of the storage pools that are folders."""
    pools = [pool for daemon in _daemons(places) for pool in _pools(daemon).values()]
    return [Path(pool.path) for pool in pools if pool.kind in _FOLDERS and pool.path.startswith("/")]


@dataclass(frozen=True, slots=True)
class _Daemon:
    """Where one libvirt daemon keeps what it knows."""

    folder: Path
    running: Path
    owners: frozenset[int]


def _daemons(places: Places) -> tuple[_Daemon, _Daemon]:
    """That of the system, and that of the user who looks."""
    user = places.user
    alive = places.at(f"run/user/{user}/libvirt/qemu/run")
    return (
        _Daemon(places.at("etc/libvirt"), places.at("run/libvirt/qemu"), trusted.ROOT),
        _Daemon(places.home / ".config/libvirt", alive, frozenset({0, user})),
    )


def definition(data: bytes, pools: dict[str, Pool] | None = None) -> VirtualMachine | None:
    """The machine that a definition or status file tells of; None for what is neither."""
    top = parsed(data)
    domain = top
    pid, paused = None, False
    if top and top.tag == "domstatus":
        domain = top.child("domain")
        number = top.get("pid")
        pid = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else None
        paused = top.get("state") == "paused"
    name = domain.child("name").text.strip() if domain and domain.tag == "domain" else ""
    if not domain or not name:
        return None
    disks = tuple(_disk(one, pools or {}) for one in domain.child("devices").all("disk"))
    uuid = domain.child("uuid").text.strip()
    return VirtualMachine(name, "libvirt", uuid, False, disks, pid, paused)


def _disk(disk: Element, pools: dict[str, Pool]) -> MachineDisk:
    source = disk.child("source")
    path, address, problem = _place(disk.get("type"), source, pools)
    device = _DEVICES.get(disk.get("device"), "disk")
    stated = disk.child("driver").get("type") or None
    if address.startswith("fat:"):
        stated = None
    if source.all("slices"):
        problem = _("It is a part of a larger file: {path}.").format(path=safe(path))
        path = ""
    below, beside = _others(disk)
    return MachineDisk(
        target=disk.child("target").get("dev"),
        path=Path(path) if path else None,
        address=address,
        format=stated,
        device=device,
        read_only=device == "cdrom" or bool(disk.all("readonly")),
        problem=problem,
        below=below,
        beside=tuple(one for one in beside if one != path),
    )


def _others(disk: Element) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths of the images below, and those of all else that the machine writes to for this disk.

    That is where a job copies it to, and a data file of its own.
    """
    below: list[str] = []
    beside: list[str] = []
    left = [(one, False) for one in reversed(disk.children)]
    while left:
        at, is_below = left.pop()
        is_below = is_below or at.tag == "backingStore"
        if at.tag == "source" and (path := at.get("file") or at.get("dev")):
            (below if is_below else beside).append(path)
        left += [(one, is_below) for one in reversed(at.children)]
    return tuple(below), tuple(beside)


def _place(kind: str, source: Element, pools: dict[str, Pool]) -> tuple[str, str, str]:
    """Path, or address, or why there is neither; nothing at all for an empty drive."""
    if kind in ("file", "block"):
        path = source.get("file" if kind == "file" else "dev")
        told = _("{path} is no absolute path.").format(path=safe(path))
        return (path, "", "") if path.startswith("/") or not path else ("", "", told)
    if kind == "dir":
        return "", f"fat:{source.get('dir')}", ""
    if kind == "volume":
        return _volume(source, pools)
    if kind == "network":
        return "", _address(source), ""
    return "", "", _("It is of the kind {kind}, which is opened by no path.").format(kind=safe(kind))


def _volume(source: Element, pools: dict[str, Pool]) -> tuple[str, str, str]:
    pool, name = source.get("pool"), source.get("volume")
    if not pool and not name:
        return "", "", ""
    known = pools.get(pool)
    if known is None:
        return "", "", _("The storage pool {pool} is not known here.").format(pool=safe(pool))
    if known.kind == "rbd":
        return "", f"rbd:{known.source}/{name}", ""
    path = known.volume(name)
    told = _("Where the volume {name} of the storage pool {pool} lies is not known.")
    return path, "", "" if path else told.format(name=safe(name), pool=safe(pool))


def _address(source: Element) -> str:
    """A disk on a network, as QEMU's own addresses are written."""
    protocol, name = source.get("protocol"), source.get("name")
    server = source.child("host")
    if server.get("transport") == "unix":
        return f"{protocol}+unix:///{name}?socket={server.get('socket')}"
    if protocol not in _PORTED:
        return f"{protocol}:{name}"
    address = server.get("name")
    address = f"[{address}]" if ":" in address else address
    port = f":{server.get('port')}" if server.get("port") else ""
    return (
        f"{protocol}://{address}{port}/{name.lstrip('/')}{source.get('query') and '?' + source.get('query')}"
    )


def _pools(daemon: _Daemon) -> dict[str, Pool]:
    found = {}
    for _name, data in trusted.contents(daemon.folder / "storage", ".xml", daemon.owners):
        pool = parsed(data)
        if pool and pool.tag == "pool":
            name = pool.child("name").text.strip()
            path = pool.child("target", "path").text.strip()
            found[name] = Pool(pool.get("type"), path, pool.child("source", "name").text.strip())
    return found
