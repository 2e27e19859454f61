"""The programs of the system that virt-salvage uses: each with its package and why.

The set-up (``python3 -m core.tools packages``), the start-up check and the README all read this
table. This module needs nothing but the standard library, so that it runs before set-up.
"""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from functools import lru_cache

from core.errors import ToolMissing
from core.i18n import N_, _, enumerated


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, the Debian package that brings it, and what it is needed for."""

    name: str
    package: str
    why: str
    needed: str = "run"
    """``run``: the main road needs it; ``option``: one of several ways needs it; ``build``: the
    set-up needs it; ``test``: only the tests and the lab for it need it; ``there``: it is used where
    the host has it and never installed, since it would change the host."""
    program: bool = True
    """False for what is no program but headers or a module."""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Releases that have it in another package: the release's code name and the package."""

    def package_here(self) -> str:
        """The package that brings it on this release of the system."""
        return dict(self.elsewhere).get(_release(), self.package)


@lru_cache(maxsize=1)
def _release() -> str:
    """The code name of the Debian or Ubuntu release; see os-release(5). Empty where there is none."""
    try:
        facts = platform.freedesktop_os_release()
    except OSError:
        return ""
    return facts.get("DEBIAN_CODENAME") or facts.get("VERSION_CODENAME", "")


TOOLS: tuple[Tool, ...] = (
    Tool(
        "qemu-storage-daemon",
        "qemu-utils",
        N_("shows any image format as raw bytes, without converting"),
        elsewhere=(("bookworm", "qemu-system-common"),),
    ),
    Tool("qemu-img", "qemu-utils", N_("makes overlays and describes images")),
    Tool("qemu-nbd", "qemu-utils", N_("opens internal snapshots and encrypted images"), "option"),
    Tool(
        "qemu-block-extra",
        "qemu-block-extra",
        N_("reads disks over ssh and https, and packed parts of dmg images"),
        "option",
        program=False,
    ),
    Tool(
        "nbdkit",
        "nbdkit",
        N_("reads an image packed with xz in place, and addresses that want a password or an authority"),
        "option",
    ),
    Tool("zstd", "zstd", N_("unpacks an image packed with zstd"), "option"),
    Tool("losetup", "mount", N_("turns a partition inside a file into a loop device")),
    Tool("mount", "mount", N_("mounts the file system of a partition")),
    Tool("umount", "mount", N_("takes a mount down")),
    Tool("blkid", "util-linux", N_("recognises what a partition contains")),
    Tool("setpriv", "util-linux", N_("ties a background process to the life of this program")),
    Tool("unshare", "util-linux", N_("opens a private mount namespace")),
    Tool("nsenter", "util-linux", N_("takes down what another session has copied of a mount")),
    Tool("kill", "procps", N_("ends a background process")),
    Tool("sfdisk", "fdisk", N_("reads partition tables, as a second opinion")),
    Tool("fusermount3", "fuse3", N_("mounts and unmounts in user space without root")),
    Tool("python3-dev", "python3-dev", N_("headers to build pyparted"), "build", program=False),
    Tool("python3-venv", "python3-venv", N_("makes the private Python environment"), "build", program=False),
    Tool("gcc", "gcc", N_("builds pyparted"), "build"),
    Tool("pkg-config", "pkgconf", N_("finds libparted when pyparted is built"), "build"),
    Tool("libparted-dev", "libparted-dev", N_("the library behind pyparted"), "build", program=False),
    Tool("kpartx", "kpartx", N_("maps partitions with the device mapper, the second way"), "option"),
    Tool("dmsetup", "dmsetup", N_("puts volumes together with the device mapper"), "option"),
    Tool("lvs", "lvm2", N_("tells the room for a snapshot of a logical volume"), "there"),
    Tool("lvcreate", "lvm2", N_("makes the snapshot that a logical volume is backed up from"), "there"),
    Tool("lvremove", "lvm2", N_("removes that snapshot"), "there"),
    Tool("cryptsetup", "cryptsetup-bin", N_("tells the key of an encrypted volume"), "option"),
    Tool("ddrescue", "gddrescue", N_("tries further at what a backup could not read"), "option"),
    Tool("ntfs-3g", "ntfs-3g", N_("reads NTFS where the kernel cannot"), "option"),
    Tool("fusefat", "fusefat", N_("reads FAT where the kernel cannot"), "option"),
    Tool("mount.exfat-fuse", "exfat-fuse", N_("reads exFAT where the kernel cannot"), "option"),
    Tool("rsync", "rsync", N_("sends copies to another machine"), "option"),
    Tool("rclone", "rclone", N_("sends copies to another machine or a cloud"), "option"),
    Tool("lsof", "lsof", N_("shows who has a file open, in the practice by hand"), "option"),
    Tool("mkntfs", "ntfs-3g", N_("makes the practice disk of Windows"), "option"),
    Tool("mke2fs", "e2fsprogs", N_("makes the practice disks' file systems")),
    Tool("debugfs", "e2fsprogs", N_("gives the files on a practice disk their owners")),
    Tool("e2fsck", "e2fsprogs", N_("checks ext2, ext3 and ext4"), "option"),
    Tool("xfs_repair", "xfsprogs", N_("checks XFS"), "option"),
    Tool("btrfs", "btrfs-progs", N_("checks btrfs"), "option"),
    Tool("fsck.fat", "dosfstools", N_("checks FAT"), "option"),
    Tool("fsck.exfat", "exfatprogs", N_("checks exFAT"), "option"),
    Tool("ntfsfix", "ntfs-3g", N_("checks NTFS, as far as that goes without Windows"), "option"),
    Tool("fsck.f2fs", "f2fs-tools", N_("checks F2FS"), "option"),
    Tool("fsck.erofs", "erofs-utils", N_("checks EROFS"), "option"),
    Tool("mkfs.xfs", "xfsprogs", N_("makes XFS file systems"), "test"),
    Tool("mkfs.btrfs", "btrfs-progs", N_("makes btrfs file systems"), "test"),
    Tool("mkfs.vfat", "dosfstools", N_("makes FAT file systems"), "test"),
    Tool("mkfs.exfat", "exfatprogs", N_("makes exFAT file systems"), "test"),
    Tool("parted", "parted", N_("an independent reader of partition tables"), "test"),
    Tool("sgdisk", "gdisk", N_("an independent reader and writer of GPT"), "test"),
    Tool("mkfs.erofs", "erofs-utils", N_("makes EROFS file systems"), "test"),
    Tool("xorriso", "xorriso", N_("makes ISO 9660 file systems"), "test"),
    Tool("gzip", "gzip", N_("packs images"), "test"),
    Tool("groff", "groff", N_("sets the man page"), "test"),
    Tool("zsh", "zsh", N_("tries its completion"), "test"),
    Tool("fish", "fish", N_("tries its completion"), "test"),
    Tool("bzip2", "bzip2", N_("packs images"), "test"),
    Tool("xz", "xz-utils", N_("packs images"), "test"),
    Tool("tar", "tar", N_("makes archives"), "test"),
    Tool("sshd", "openssh-server", N_("serves a disk over ssh"), "test"),
    Tool("ssh-agent", "openssh-client", N_("makes keys and an agent for that"), "test"),
    Tool("openssl", "openssl", N_("makes certificates for a web server"), "test"),
    Tool("testdisk", "testdisk", N_("what the search for lost partitions is measured against"), "test"),
    Tool("setfacl", "acl", N_("sets access control lists"), "test"),
    Tool("setfattr", "attr", N_("sets extended attributes"), "test"),
    Tool("libcairo2", "libcairo2", N_("draws the screenshots as PNG"), "test", program=False),
    Tool("fonts-dejavu-core", "fonts-dejavu-core", N_("the screenshots' font"), "test", program=False),
    Tool("tmux", "tmux", N_("drives the real wizard in a terminal"), "test"),
    Tool("qemu-system-x86_64", "qemu-system-x86", N_("runs the test machine"), "test"),
    Tool("linux.uml", "user-mode-linux", N_("runs the test machine's kernel as a program"), "test"),
    Tool("mmdebstrap", "mmdebstrap", N_("builds the test machine's root file system"), "test"),
    Tool("sqfstar", "squashfs-tools", N_("packs the test machine's root file system"), "test"),
    Tool("newuidmap", "uidmap", N_("builds the test machine without root"), "test"),
    Tool(
        "debian-archive-keyring",
        "debian-archive-keyring",
        N_("checks the test machine's packages"),
        "test",
        program=False,
    ),
)

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


def search_path() -> str:
    """PATH with the administrators' folders, which an ordinary user's often lacks."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join([*filter(None, folders), *(d for d in _SBIN if d not in folders)])


@lru_cache(maxsize=256)
def _located(name: str, path: str) -> str | None:
    return shutil.which(name, path=path)


def find(name: str) -> str | None:
    """Where the program lies; None if it is not installed."""
    return _located(name, search_path())


def require(name: str) -> str:
    """Where the program lies; raises `ToolMissing` with the package to install."""
    path = find(name)
    if path:
        return path
    package = next((tool.package_here() for tool in TOOLS if tool.name == name), name)
    raise ToolMissing(
        _("The program {name} is not installed.").format(name=name),
        _("Nothing was changed."),
        _("Install it with: apt-get install {package}").format(package=package),
    )


def packages(*needed: str) -> list[str]:
    """The Debian packages of all tools that are needed for one of the purposes, each once."""
    return sorted({tool.package_here() for tool in TOOLS if tool.needed in needed})


def absent(*needed: str) -> list[str]:
    """The programs needed for one of the purposes that are not installed."""
    return [tool.name for tool in TOOLS if tool.needed in needed and tool.program and not find(tool.name)]


def start_up_problem() -> str:
    """What is missing of the programs that the main road needs, as a sentence; empty when all are here."""
    missing = absent("run")
    if not missing:
        return ""
    needed = sorted({tool.package_here() for tool in TOOLS if tool.name in missing})
    return _(
        "Programs of the system are missing: {programs}. Some steps will not work."
        " Install them with: apt-get install {packages}"
    ).format(programs=enumerated(missing), packages=" ".join(needed))


def as_markdown() -> str:
    """The table for the README: what the program, its further ways, its set-up and its tests need."""
    purposes = {
        "run": "always",
        "option": "for one more way",
        "there": "where it is, never installed",
        "build": "to install",
        "test": "for the tests",
    }
    lines = ["| program | Debian package | why | needed |", "| --- | --- | --- | --- |"]
    lines += [f"| {tool.name} | {tool.package} | {tool.why} | {purposes[tool.needed]} |" for tool in TOOLS]
    return "\n".join(lines)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["packages", *purposes]:
            print(" ".join(packages(*purposes)))
        case ["absent", *purposes]:
            print(" ".join(absent(*purposes)))
        case ["table"]:
            print(as_markdown())
        case _:
            sys.exit("usage: python3 -m core.tools packages|absent PURPOSE… | table")
