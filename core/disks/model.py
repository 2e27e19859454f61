"""What a disk is: values that every later step hands on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from core.errors import Refused
from core.i18n import _
from core.text import safe

SECTOR = 512
"""Bytes of a sector: the unit of partition tables, whatever the medium uses inside."""

Mode = Literal["read", "write"]
Identity = tuple[int, int]
"""Device and inode number of a file, which stay the same whatever name it is reached by."""


Evidence = Literal["open", "map", "lock", "arguments", "hypervisor", "device", "count"]
"""What tells that somebody holds a disk: an open file, a mapped file, a lock of QEMU without a visible
owner, words of a command line, the state of a hypervisor, a block device or mount over it, or only the
kernel's count of those who have the file open for writing."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine as its manager knows it."""

    name: str
    manager: Literal["libvirt", "proxmox"]
    id: str
    """How the manager's own commands name it."""
    paused: bool = False
    """It does not run at the moment, but has everything open."""
    target: str = ""
    """What the machine calls the disk, such as ``vda``; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who has the disk open, or may have."""

    pid: int | None
    """None where no process is known: a loop device, a mount, a lock of another container."""
    program: str
    vm: str | None
    mode: Mode
    through: str = ""
    """The device or mount through which the disk is held, if not directly."""
    evidence: Evidence = "open"
    machine: Machine | None = None
    session: str = ""
    """The session of this program that it belongs to; empty for all others."""
    is_alive: bool = True
    """Whether that session is at work, or was left up on purpose; False: it died."""
    file: str = ""
    """The one of the disk's files that is held, where that is known."""
    undo: tuple[str, ...] = ()
    """The shell lines that let a device or mount go, the first to run first."""

    def to_json(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "program": safe(self.program),
            "vm": safe(self.vm) if self.vm else None,
            "mode": self.mode,
            "through": safe(self.through) if self.through else None,
            "evidence": self.evidence,
            "file": safe(self.file) or None,
            "manager": self.machine.manager if self.machine else None,
            "paused": bool(self.machine and self.machine.paused),
            "session": safe(self.session) or None,
        }


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An internal snapshot: a state of the disk kept inside the same file."""

    id: str
    name: str
    date: datetime
    vm_size: int
    """Bytes of saved memory of the virtual machine; 0 for a snapshot of the disk alone."""
    disk_size: int | None = None
    """Bytes that the disk had then; None where the image does not say."""

    def to_json(self) -> dict[str, Any]:
        return {
            "id": safe(self.id),
            "name": safe(self.name),
            "date": self.date.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "vm_size": self.vm_size,
            "disk_size": self.disk_size,
        }


Encryption = Literal["", "luks", "aes"]
"""How QEMU encrypted what an image holds, in its own words."""


Reading = Literal["", "cow", "vhd", "vhdx", "vdi"]
"""The reader of ours that puts an image together from its file and what is below; empty: QEMU does."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file beside an image's own that holds some of its data: a data file or an extent."""

    kind: Literal["backing", "data", "extent"]
    path: Path
    exists: bool
    identity: Identity | None
    is_block_device: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """One image of a backing chain."""

    path: Path
    format: str
    exists: bool
    virtual_size: int | None
    """Bytes; None where the file is missing."""
    identity: Identity | None = None
    is_block_device: bool = False
    window: int | None = None
    """Bytes from the start of the file that are the disk, where the file holds the disk as it is
    and something of its own behind it (a VHD of fixed size)."""
    parts: tuple[Part, ...] = ()
    encryption: Encryption = ""
    reader: Reading = ""
    problems: tuple[str, ...] = ()
    """What its own header says against it."""
    has_log: bool = False
    """Its log is to be replayed first, in an overlay: the file itself stays as it is."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The image's own file and those beside it, as far as they exist."""
        own = (self.path,) if self.exists else ()
        return own + tuple(part.path for part in self.parts if part.exists)

    def to_json(self) -> dict[str, Any]:
        return {
            "path": safe(self.path),
            "format": self.format,
            "exists": self.exists,
            "virtual_size": self.virtual_size,
            "files": [safe(part.path) for part in self.parts],
            "encryption": self.encryption or None,
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that was vetted: what it is and all that belongs to it."""

    path: Path
    """Absolute, symbolic links resolved."""
    given: str
    """As the operator named it."""
    format: str
    """QEMU's name of the driver that reads it."""
    virtual_size: int
    """Bytes that the virtual machine saw."""
    actual_size: int
    """Bytes that its own file takes on the host; the size of a block device."""
    chain: tuple[Link, ...]
    """The disk itself first, then what lies below it."""
    identity: Identity
    mtime_ns: int
    is_block_device: bool = False
    snapshots: tuple[Snapshot, ...] = ()
    held_by: tuple[Holder, ...] = ()
    problems: tuple[str, ...] = ()
    blocked: str = ""
    """Why it cannot be opened as a disk although it may be looked at and backed up; empty if it can."""
    way_out: str = ""
    """What to do about `blocked`."""
    sector_size: int = SECTOR
    snapshot: Snapshot | None = None
    """The internal snapshot that is worked on; None for the present state."""
    origin: str = ""
    """Where the disk really lies, safe to show, when `path` is only where a session shows or keeps it."""
    is_shown: bool = False
    """Whether `path` is served by a daemon of the session: its times say nothing."""
    socket: Path | None = None
    """Where a daemon serves what only it can open, see `core.disks.front`."""

    @property
    def locked(self) -> tuple[Link, ...]:
        """The links that want a passphrase."""
        return tuple(link for link in self.chain if link.encryption)

    @property
    def wants_front(self) -> bool:
        """Whether it is opened through `core.disks.front`: what QEMU's export alone cannot show."""
        return bool(self.snapshot or self.locked or self._is_rebuilt)

    @property
    def _is_rebuilt(self) -> bool:
        return any(link.reader or link.has_log for link in self.chain)

    @property
    def writers(self) -> tuple[Holder, ...]:
        """Those of `held_by` that write to it, or may."""
        return tuple(holder for holder in self.held_by if holder.mode == "write")

    @property
    def name(self) -> str:
        """The last part of what the operator named, for a heading; not yet safe to show."""
        return (_name_in(self.given) if self.origin else "") or _mapping(self.path) or self.path.name

    @property
    def title(self) -> str:
        """What the disk is called in a sentence, safe to show."""
        mapping = _mapping(self.path)
        return self.origin or safe(f"/dev/mapper/{mapping}" if mapping else self.path)

    @property
    def apart(self) -> str:
        """Why nothing can be written back to it, as a sentence; empty where it can."""
        if self.snapshot:
            return _("The overlay is over an internal snapshot, and those are never written to.")
        if self.locked:
            return _("The disk is encrypted by QEMU; an overlay over it is not written back.")
        if self._is_rebuilt:
            return _("What is worked on is put together from the disk's files; it is not written back.")
        return (
            _("What is worked on is not the disk itself, but shown or unpacked from {origin}.").format(
                origin=self.origin
            )
            if self.origin
            else ""
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the disk's data lie in, each once, the disk's own first."""
        return tuple(dict.fromkeys(path for link in self.chain for path in link.files))

    def require_openable(self) -> None:
        """Raise `Refused` with the reason when the disk can be looked at but not opened."""
        if self.blocked:
            raise Refused(self.blocked, _("Nothing was opened or changed."), self.way_out)

    def to_json(self) -> dict[str, Any]:
        """The disk as `inspect --json` shows it; sizes in bytes."""
        return {
            "path": self.title,
            "format": self.format,
            # A last sector that is cut short counts whole, as it does for qemu-img
            "virtual_size": -(-self.virtual_size // SECTOR) * SECTOR,
            "actual_size": self.actual_size,
            "sector_size": self.sector_size,
            "chain": [link.to_json() for link in self.chain],
            "snapshots": [snapshot.to_json() for snapshot in self.snapshots],
            "snapshot": self.snapshot.to_json() if self.snapshot else None,
            "held_by": [holder.to_json() for holder in self.held_by],
            "problems": list(self.problems),
        }


def _mapping(path: Path) -> str:
    """The name of a device of the device mapper, whose number says nothing to anybody; else empty."""
    if path.parent != Path("/dev") or not path.name.startswith("dm-"):
        return ""
    try:
        return Path("/sys/block", path.name, "dm/name").read_text().strip()
    except OSError:
        return ""


def _name_in(given: str) -> str:
    """The last part of a path; of an address what it says of the disk, not of a key or certificate."""
    if "://" not in given:
        return Path(given).name
    parts = urlsplit(given)
    return Path(unquote(parts.path)).name or parts.hostname or Path(parts.query).name
