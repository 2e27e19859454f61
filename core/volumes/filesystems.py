"""The file systems that can be read, and how each is mounted without writing a byte.

Only what is on this list is mounted, always with its type named: a kernel driver that guesses, or one
that few people use, is a way for a hostile or damaged disk to take the host down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core import host, tools
from core.errors import SalvageError
from core.i18n import N_, _
from core.text import safe
from core.volumes.state import State


@dataclass(frozen=True, slots=True)
class FileSystem:
    """How one content is mounted. An option set is tried after the one before it was refused."""

    type: str
    """The kernel's name of its driver."""
    unreplayed: tuple[str, ...]
    """Option sets that keep the journal from being replayed, newest kernels first."""
    why: str
    writable: bool = True
    daemon: tuple[str, ...] = ()
    """A program that serves it in user space where the kernel cannot; it stays in the foreground."""
    written: str = ""
    """Options of a writable mount."""
    spread: str = ""
    """Options for one device of several, tried after those without."""
    replayed: str | None = None
    """Options of a read-only mount that carries out the journal; None: it has none that a mount would."""
    last: str = ""
    """Options of a read-only mount that passes over damage, tried when all others were refused."""
    flaw: str = ""
    """What its daemon shows otherwise than it is on the disk."""

    @property
    def spare(self) -> str:
        """The program that is tried where the kernel refuses it; empty where there is none as good."""
        return self.daemon[0] if self.daemon and not self.flaw else ""

    def by_copy(self, superblock: int | None) -> "FileSystem":
        """The same, pointed to the superblock at that byte of the volume, which the kernel counts in KiB.

        Only ext2/3/4 can be: Documentation/admin-guide/ext4.rst, sb=n.
        """
        if superblock is None:
            return self
        place = f",sb={superblock >> 10}"
        unreplayed = tuple(options + place for options in self.unreplayed)
        replayed = None if self.replayed is None else self.replayed + place
        return replace(self, unreplayed=unreplayed, written=self.written + place, replayed=replayed)

    def options(self, members: int, state: State) -> tuple[str, ...]:
        """The option sets of a read-only mount, for a file system on that many devices."""
        replays = state is not State.LEFT and self.replayed is not None
        return self._spread((self.replayed or "",) if replays else self.unreplayed, members)

    def last_options(self, members: int) -> tuple[str, ...]:
        """The option sets that pass over damage; none where the driver knows no such."""
        return self._spread((self.last,), members) if self.last else ()

    def _spread(self, sets: tuple[str, ...], members: int) -> tuple[str, ...]:
        if members <= 1 or not self.spread:
            return sets
        return tuple(
            ",".join(filter(None, (options, more))) for more in ("", self.spread) for options in sets
        )


_EXT = FileSystem(
    "ext4",
    ("noload,errors=continue",),
    N_("noload: the journal is not replayed; errors=continue: a damaged volume cannot stop this host"),
    written="errors=remount-ro",  # the superblock may say panic
    replayed="errors=continue",
)
_PLAIN = N_("it has no journal that a read-only mount would replay")
_NAMES = N_("utf8: names in every script are read; it has no journal that a read-only mount would replay")
"""Kernels built without CONFIG_FAT_DEFAULT_UTF8, or with another CONFIG_NLS_DEFAULT, read names in Latin-1 or
ASCII unless told: each other letter is a "?" then, and of two names that are alike by that, both give the
file of the first."""

FILE_SYSTEMS: Mapping[str, FileSystem] = {
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
    "xfs": FileSystem(
        "xfs",
        ("norecovery,nouuid",),
        N_("norecovery: the log is not replayed; nouuid: a clone may be mounted beside its twin"),
        written="nouuid",
        replayed="nouuid",
    ),
    "btrfs": FileSystem(
        "btrfs",
        ("rescue=nologreplay", "nologreplay"),  # renamed in Linux 5.9, the old name is gone since 6.8
        N_("rescue=nologreplay: the log tree is not replayed"),
        spread="degraded",
        replayed="",
        last="rescue=all",  # since Linux 5.11; btrfs(5)
    ),
    "vfat": FileSystem(
        "vfat",
        ("utf8=1,errors=continue",),
        _NAMES,
        False,
        ("fusefat", "-f"),
        flaw=N_(
            "The kernel of this host cannot read FAT; fusefat does, but shows every date a month too late,"
            " and the label as an empty file. A host whose kernel can shows them right."
        ),
    ),
    "exfat": FileSystem("exfat", ("errors=continue",), _PLAIN, False, ("mount.exfat-fuse", "-d")),
    "ntfs": FileSystem(
        "ntfs3",
        ("iocharset=utf8", ""),
        N_(
            "utf8: names in every script are read; a read-only mount leaves the log and a hibernation file"
            " as they are"
        ),
        False,
        ("ntfs-3g", "-o", "no_detach"),
    ),
    "iso9660": FileSystem("iso9660", ("iocharset=utf8", ""), _NAMES, False),
    "udf": FileSystem("udf", ("",), _PLAIN, False),
    "squashfs": FileSystem("squashfs", ("",), _PLAIN, False),
    "erofs": FileSystem("erofs", ("",), _PLAIN, False),
    "f2fs": FileSystem(
        "f2fs",
        ("norecovery",),
        N_("norecovery: what was written after the last checkpoint is not carried on"),
        replayed="",
    ),
}

_LAYERS: Mapping[str, str] = {
    "LVM2_member": N_("It belongs to LVM: open one of its logical volumes, as VG/LV."),
    "crypto_LUKS": N_("It is encrypted with LUKS: open what is inside, with /luks behind its number."),
    "linux_raid_member": N_("It is one member of a software RAID: open the array, as md:NAME."),
    "swap": N_("It is swap space and holds no files."),
    "zfs_member": N_(
        "It belongs to a ZFS pool, which this program does not read. A host with the ZFS tools does:"
        " `zpool import -o readonly=on -N`, with a copy of the disk attached read-only."
    ),
    "bcache": N_("It is a part of a bcache, which this program does not put together."),
    "BitLocker": N_("It is encrypted with BitLocker: open what is inside, as 5/bitlocker."),
    "cs_fvault2": N_("It is encrypted with Apple's FileVault 2."),
    "apfs": N_(
        "It is a file system of macOS, which this program does not read. A Mac does, or apfs-fuse on a copy."
    ),
    "hfsplus": N_(
        "It is a file system of older Macs, which this program does not read. A Mac does, or a Linux host"
        " with that driver: `mount -t hfsplus -o ro`, on a copy in a virtual machine."
    ),
    "hfs": N_(
        "It is a file system of old Macs, which this program does not read. A Linux host with that driver"
        " does: `mount -t hfs -o ro`, on a copy in a virtual machine."
    ),
    "ufs": N_(
        "It is a file system of a BSD or of Solaris, which this program does not read. That system itself"
        " does, or a Linux host with the driver: `mount -t ufs -o ro,ufstype=ufs2` (44bsd, sunx86 for older"
        " ones), on a copy in a virtual machine."
    ),
    "VMFS_volume_member": N_("It is the store of a VMware host: the disks of its machines lie inside."),
    "VMFS": N_("It is the store of a VMware host: the disks of its machines lie inside."),
}


def known(content: str | None, title: str, lacking: str = "") -> FileSystem:
    """How to mount what libblkid calls `content`; `title` names the volume in the error.

    `lacking` says what of the volume is not there, and is told where nothing is recognised.
    """
    if content is not None and content in FILE_SYSTEMS:
        return FILE_SYSTEMS[content]
    if content is None and lacking:
        raise SalvageError(
            _("Nothing that can be mounted was recognised on {volume}.").format(volume=title),
            lacking,
            _("Give the other disks too: DISK,DISK2; in the wizard, a."),
        )
    if content is None:
        raise SalvageError(
            _("Nothing that can be mounted was recognised on {volume}.").format(volume=title),
            _("It may be empty, encrypted or damaged; the disk is untouched."),
            _("`virt-salvage inspect` shows what else is on the disk."),
        )
    told = _LAYERS.get(content)
    raise SalvageError(
        _("{volume} contains {content}, which cannot be mounted here.").format(
            volume=title[:1].upper() + title[1:], content=safe(content)
        ),
        _(told) if told else _("Few people use its driver, so a damaged disk could take this host down."),
        _("`virt-salvage backup` saves the whole disk; `virt-salvage inspect` shows its other volumes."),
    )


def only_read(content: str | None) -> str:
    """Why it is never mounted for writing, in a sentence; empty where it may be, or where it is not known."""
    system = FILE_SYSTEMS.get(content or "")
    if system is None or system.writable:
        return ""
    return _("{content} is mounted for reading only.").format(content=content)


def flaws(content: str | None) -> tuple[str, ...]:
    """What will be shown otherwise than it is on the disk, because of who reads it here."""
    system = FILE_SYSTEMS.get(content or "")
    if system is None or not system.flaw or host.kernel_reads(system.type):
        return ()
    return (_(system.flaw),) if tools.find(system.daemon[0]) else ()


def reader(system: FileSystem) -> str:
    """Who reads it here: ``kernel`` or ``daemon``; raises SalvageError when nobody can."""
    if host.kernel_reads(system.type):
        return "kernel"
    if system.daemon:
        tools.require(system.daemon[0])
        return "daemon"
    raise SalvageError(
        _("The kernel of this host cannot read {type}.").format(type=system.type),
        _("The disk is untouched."),
        _("Copy the disk to a host whose kernel can, with `virt-salvage backup`."),
    )
