"""The machines of Proxmox VE, read from its configuration: qm.conf(5), and storage.cfg of pvesm(1).

What stands behind a heading in a machine's file is a snapshot of it, not how it is now.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core import host
from core.i18n import _
from core.machines import trusted
from core.machines.model import MachineDisk, VirtualMachine
from core.machines.places import Places
from core.text import safe

_DISK = re.compile(r"(ide|sata|scsi|virtio|unused)\d{1,3}")
_LINE = re.compile(r"^([a-z][a-z0-9]*):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^([a-z]+):[ \t]*(\S+)[ \t]*$")
_IN_FOLDERS = frozenset({"dir", "nfs", "cifs", "cephfs", "glusterfs", "btrfs"})
_FORMATS = {".qcow2": "qcow2", ".raw": "raw", ".vmdk": "vmdk"}


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage of storage.cfg."""

    kind: str
    name: str
    options: dict[str, str] = field(default_factory=dict)

    def volume(self, name: str) -> tuple[str, str, str | None]:
        """Path and address of a volume, one of them empty, and the format that its name states."""
        option = self.options.get
        last = name.rpartition("/")[2]
        if self.kind in _IN_FOLDERS:
            return self._in_folder(self.folder, name), "", _FORMATS.get(os.path.splitext(last)[1])
        if self.kind in ("lvm", "lvmthin") and option("vgname"):
            return f"/dev/{option('vgname')}/{last}", "", _FORMATS.get(os.path.splitext(last)[1], "raw")
        if self.kind == "zfspool" and option("pool"):
            return f"/dev/zvol/{option('pool')}/{last}", "", "raw"
        if self.kind == "rbd":
            return "", f"rbd:{option('pool', 'rbd')}/{last}", "raw"
        return "", "", None

    @property
    def folder(self) -> str:
        """Where a storage of folders lies; empty for all others."""
        return (self.options.get("path") or f"/mnt/pve/{self.name}") if self.kind in _IN_FOLDERS else ""

    def _in_folder(self, top: str, name: str) -> str:
        if name.startswith("iso/"):
            return f"{top}/template/{name}"
        # A linked clone is written behind the base that it is made from
        owner, image = ("", *name.split("/"))[-2:]
        if self.kind == "btrfs" and image.endswith(".raw"):
            return f"{top}/images/{owner}/{image.removesuffix('.raw')}/disk.raw"
        return f"{top}/images/{owner}/{image}"


def machines(places: Places) -> list[VirtualMachine]:
    """The machines of this node, then those of other nodes of its cluster, by number."""
    base = places.at("etc/pve")
    storages = storage(trusted.content(base / "storage.cfg"))
    own = Path(os.path.realpath(base / "qemu-server"))
    found = _of_node(own, storages, places, "")
    try:
        nodes = sorted(os.listdir(base / "nodes"))
    except OSError:
        nodes = []
    for node in nodes:
        folder = base / "nodes" / node / "qemu-server"
        if Path(os.path.realpath(folder)) != own:
            found += _of_node(folder, storages, places, node)
    return found


def folders(places: Places) -> list[Path]:
    """The folders that storages keep images in."""
    data = trusted.content(places.at("etc/pve/storage.cfg"))
    return [Path(one.folder, "images") for one in storage(data).values() if one.folder] if data else []


def _of_node(folder: Path, storages: dict[str, Storage], places: Places, node: str) -> list[VirtualMachine]:
    found = []
    for number, data in trusted.contents(folder, ".conf"):
        if not number.isascii() or not number.isdecimal():
            continue
        pid = None if node else _pid(places.at(f"run/qemu-server/{number}.pid"))
        values = dict(_LINE.findall(os.fsdecode(data).partition("\n[")[0]))
        disks = tuple(_disks(values, storages))
        running = None if node else pid is not None
        found.append(
            VirtualMachine(values.get("name") or number, "proxmox", number, running, disks, pid, node=node)
        )
    return sorted(found, key=lambda one: int(one.id))


def _pid(path: Path) -> int | None:
    told = trusted.content(path).strip()
    if not told.isdigit() or len(told) > 9 or host.started(int(told)) is None:
        return None
    return int(told)


def _disks(values: dict[str, str], storages: dict[str, Storage]) -> Iterator[MachineDisk]:
    for key, value in values.items():
        if not _DISK.fullmatch(key):
            continue
        first, *rest = value.split(",")
        options = dict(one.partition("=")[::2] for one in rest)
        volume = options.get("file") or first.removeprefix("file=").removeprefix("volume=")
        cdrom = options.get("media") == "cdrom"
        path, address, format, problem = _place(volume, storages)
        yield MachineDisk(
            key,
            Path(path) if path else None,
            address,
            None if cdrom else options.get("format") or format,
            "cdrom" if cdrom else "disk",
            cdrom or options.get("ro") == "1",
            problem,
        )


def _place(volume: str, storages: dict[str, Storage]) -> tuple[str, str, str | None, str]:
    if volume.startswith("/"):
        return volume, "", "raw" if volume.startswith("/dev/") else None, ""
    name, colon, inside = volume.partition(":")
    if not colon:
        return "", "", None, ""  # an empty drive, or the host's own
    known = storages.get(name)
    if known is None:
        return "", "", None, _("The storage {name} is not known here.").format(name=safe(name))
    told = ""
    path, address, format = known.volume(inside)
    if ".." in inside.split("/") or not (path or address):
        told = _("Where {volume} lies on a storage of the kind {kind} is not known.").format(
            volume=safe(volume), kind=safe(known.kind)
        )
        return "", "", None, told
    return path, address, format, told


def storage(data: bytes) -> dict[str, Storage]:
    """The storages that storage.cfg defines, by name."""
    found: dict[str, Storage] = {}
    options: dict[str, str] = {}
    for line in os.fsdecode(data).splitlines():
        heading = _HEADING.match(line)
        if heading:
            options = {}
            found[heading[2]] = Storage(heading[1], heading[2], options)
        elif line[:1] in (" ", "\t"):
            key, _space, value = line.strip().partition(" ")
            options[key] = value.strip()
    # Where there is no such file yet, Proxmox VE has this one all the same
    return found or {"local": Storage("dir", "local", {"path": "/var/lib/vz"})}
