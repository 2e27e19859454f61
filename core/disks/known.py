"""The formats and places that a disk may come in: one table, which `inspect --formats` and the README show.

A test holds it to the truth: every row has an image there that another program made, where there is one.
"""

import sys
from dataclasses import dataclass

from core.i18n import N_


@dataclass(frozen=True, slots=True)
class Known:
    """One row; the texts are sentences without their full stop, in English until they are shown."""

    name: str
    what: str
    recognised: str
    through: str
    chain: str = ""
    """What it may stand on; empty where it stands alone."""
    missing: str = ""
    """What cannot be done with it; empty where nothing is known."""

    def to_json(self) -> dict[str, str]:
        return {
            "name": self.name,
            "what": self.what,
            "recognised": self.recognised,
            "through": self.through,
            "chain": self.chain,
            "missing": self.missing,
        }


_QEMU = N_("QEMU's driver, each link of the chain with its format stated")
_MAGIC = N_("its header")

KNOWN: tuple[Known, ...] = (
    Known(
        "raw",
        N_("the disk itself, byte for byte"),
        N_("no other header; one that a guest may have written there is asked about"),
        N_("the file itself; no daemon"),
    ),
    Known(
        "qcow2",
        N_("QEMU's own: version 2 and 3, compressed with zlib or zstd, subclusters, external data file"),
        _MAGIC,
        _QEMU,
        N_("backing file of any format here; internal snapshots, each of which can be worked on"),
    ),
    Known(
        "qcow2 with LUKS",
        N_("encrypted by QEMU; the passphrase is asked for"),
        N_("the encryption method in its header"),
        N_("QEMU's driver in a qemu-nbd, which gets the passphrase through a pipe"),
        N_("as for qcow2"),
        N_("its own tables are not checked"),
    ),
    Known(
        "qcow2 with AES",
        N_("encrypted in QEMU's old way, also qcow"),
        N_("the encryption method in its header"),
        N_("QEMU's driver in a qemu-nbd, which gets the passphrase through a pipe"),
        N_("as for qcow2"),
        N_("a wrong passphrase cannot be told: it shows noise"),
    ),
    Known("qcow", N_("the forerunner of qcow2"), _MAGIC, _QEMU, N_("backing file of any format here")),
    Known(
        "cow",
        N_("of User-mode Linux and of QEMU up to 2.1"),
        _MAGIC,
        N_("a reader of this program's own, served to QEMU over a socket"),
        N_("backing file of any format here"),
        N_("version 1 of User-mode Linux"),
    ),
    Known("qed", N_("QEMU's enhanced disk"), _MAGIC, _QEMU, N_("backing file of any format here")),
    Known(
        "vdi",
        N_("VirtualBox: dynamic and static"),
        _MAGIC,
        _QEMU,
    ),
    Known(
        "vdi, differencing",
        N_("VDI that holds only what differs from its parent: a snapshot of VirtualBox"),
        N_("the parent in its header"),
        N_("a reader of this program's own, served to QEMU over a socket"),
        N_("its parent, found by its UUID in its own folder and the one above"),
        N_("tried on images of our own making, none of VirtualBox was at hand"),
    ),
    Known(
        "vmdk",
        N_(
            "VMware: monolithic and twoGbMaxExtent, sparse and flat, streamOptimized, ESX flat and sparse"
            " (vmfsSparse, seSparse: tried on images of our own making, none of ESX was at hand)"
        ),
        N_("its header, or the text of its descriptor"),
        _QEMU,
        N_("its parent, known by its content identity (CID)"),
        N_("physical devices as extents are asked about, path by path"),
    ),
    Known(
        "vpc",
        N_("VHD of Virtual PC, Hyper-V and Azure: fixed and dynamic"),
        N_("its header, or its trailer where the size is fixed"),
        N_("QEMU's driver; the file itself up to its trailer where the size is fixed"),
        missing=N_("one that is cut short, before its copy is lengthened"),
    ),
    Known(
        "vpc, differencing",
        N_("VHD that holds only what differs from its parent"),
        N_("the disk type in its header"),
        N_("a reader of this program's own, served to QEMU over a socket"),
        N_("its parent, of any format here, proved by its unique ID"),
    ),
    Known(
        "vhdx",
        N_("Hyper-V, fixed and dynamic; a log that is not empty is replayed in a throw-away overlay"),
        _MAGIC,
        _QEMU,
        missing=N_("sectors of 4096 bytes, and one cut short before its copy is lengthened"),
    ),
    Known(
        "vhdx, differencing",
        N_("VHDX that holds only what differs from its parent: an .avhdx, a checkpoint of Hyper-V"),
        N_("the parent in its metadata"),
        N_("a reader of this program's own, served to QEMU over a socket"),
        N_("its parent, proved by its unique ID"),
        N_("one whose log is not empty; tried on images of our own making, none of Hyper-V was at hand"),
    ),
    Known("parallels", N_("Parallels, expanding"), _MAGIC, _QEMU, missing=N_("bundles of several files")),
    Known("bochs", N_("Bochs, growing"), _MAGIC, _QEMU, missing=N_("flat ones are raw; undoable ones")),
    Known("cloop", N_("compressed loop of live CDs, version 2"), _MAGIC, _QEMU),
    Known(
        "dmg",
        N_("Apple's UDIF"),
        N_("its trailer"),
        N_("QEMU's driver; parts packed with bzip2 or LZFSE want the package qemu-block-extra"),
    ),
    Known(
        "luks",
        N_("a raw disk as a whole in LUKS version 1, as libvirt and QEMU make it"),
        N_("by your word only: --format luks; without it, it is a raw disk with LUKS on it"),
        N_("QEMU's driver in a qemu-nbd, which gets the passphrase through a pipe"),
        missing=N_("LUKS version 2"),
    ),
    Known(
        "block device",
        N_("a disk, logical volume, CD or floppy of this host"),
        N_("the kind of its node"),
        N_("the device itself, read-only, or QEMU's driver for what is on it"),
        missing=N_("floppies are in no list: name them, as /dev/fd0"),
    ),
    Known(
        "nbd://, nbds://, nbd+unix://",
        N_("what another host or program serves, with TLS (nbds) or without"),
        N_("the address that you give; what is in it, by its own header"),
        N_(
            "QEMU's client, shown as a file; for TLS ?tls-certificates=FOLDER or ?tls-psk-file=FILE, else"
            " what the system trusts"
        ),
        N_("relative names in its header lead nowhere"),
        N_("a server whose certificate is not checked; keys with a passphrase of their own"),
    ),
    Known(
        "ssh://",
        N_("a file of another host"),
        N_("the address that you give; what is in it, by its own header"),
        N_(
            "QEMU's client in the package qemu-block-extra, shown as a file; the host's key must be known; a"
            " key, an agent, or by nbdkit a password lets you in"
        ),
        N_("relative names in its header lead nowhere"),
        N_("jump hosts and names of ssh's own configuration; keys with a passphrase that no agent holds"),
    ),
    Known(
        "https://",
        N_("a file on a web server that serves ranges"),
        N_("the address that you give; what is in it, by its own header"),
        N_(
            "QEMU's client in the package qemu-block-extra, shown as a file; with USER@ the password is asked"
            " for, with #ca=FILE by nbdkit an authority of your own counts"
        ),
        N_("relative names in its header lead nowhere"),
        N_("servers that want more than a name and a password"),
    ),
    Known(
        "fat:",
        N_("a folder of this host, shown as a disk with one FAT partition"),
        N_("the address that you give"),
        N_("QEMU's vvfat, shown as a file"),
        missing=N_("more than 500 MiB of files"),
    ),
    Known(
        ".xz",
        N_("an image packed with xz"),
        N_("its header, and a name that says so or no partition table"),
        N_("nbdkit in place where no block is longer than 64 MiB; else unpacked into the state folder"),
        N_("what is in it counts names from where the packed file lies"),
    ),
    Known(
        ".gz, .bz2, .zst",
        N_("an image packed with gzip, bzip2 or zstd"),
        N_("its header, and a name that says so or no partition table"),
        N_("unpacked into the state folder, where it fits; it goes with the session"),
        N_("what is in it counts names from where the packed file lies"),
    ),
    Known(
        ".ova, .tar",
        N_("a disk in an archive, itself packed or not"),
        N_("the archive's header; --member names the disk where there are several"),
        N_("in place, shown as a file"),
        N_("what is in it counts names from where the archive lies"),
        N_("members that were stored without their holes"),
    ),
)


def as_markdown() -> str:
    """The table for the README."""
    lines = [
        "| format or place | what it is | recognised by | read through | chain | what is missing |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.name} | {one.what} | {one.recognised} | {one.through} | {one.chain} | {one.missing} |"
        for one in KNOWN
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["table"]:
            print(as_markdown())
        case _:
            sys.exit("usage: python3 -m core.disks.known table")
