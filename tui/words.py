"""The words of the trade, each explained in a sentence; and on which screens each turns up."""

from dataclasses import dataclass

from core.i18n import N_, _


@dataclass(frozen=True, slots=True)
class Word:
    """A word and what it means; both marked for translation."""

    name: str
    means: str
    topics: tuple[str, ...] = ()
    """The screens (their `topic`) that speak of it."""


WORDS = (
    Word(
        N_("array"),
        N_("Several disks or partitions that md joins into one: striped, mirrored, or with parity (RAID)."),
        ("partitions", "search"),
    ),
    Word(
        N_("backing file"),
        N_("What an image is built on: blocks that it does not hold itself are read from there."),
        ("disk", "protect"),
    ),
    Word(N_("block device"), N_("A disk or a part of one as the kernel shows it, below /dev."), ("disk",)),
    Word(
        N_("btrfs"),
        N_("A file system of Linux with subvolumes and snapshots inside it."),
        ("partitions", "volume"),
    ),
    Word(
        N_("checksum"),
        N_("A short number made of all bytes of a file: equal numbers, equal files. Here SHA-256."),
        ("files", "progress", "done"),
    ),
    Word(
        N_("commit"),
        N_("To write what an overlay holds back into its disk: the only thing here that changes a disk."),
        ("commit", "shown", "leftovers"),
    ),
    Word(
        N_("device mapper"),
        N_("The part of the kernel that makes one device out of pieces of others; LVM and LUKS need it."),
        ("partitions", "volume"),
    ),
    Word(
        N_("FAT"),
        N_("The simple file system of USB sticks and of the EFI partition; the kernel calls it vfat."),
        ("partitions", "volume"),
    ),
    Word(
        N_("fsck"),
        N_("A file system's own checker: e2fsck for ext4, xfs_repair for XFS. Here it first only looks."),
        ("volume", "check"),
    ),
    Word(
        N_("libblkid"),
        N_("The library that tells what a partition contains, by the marks that each file system leaves."),
        ("partitions", "search"),
    ),
    Word(
        N_("libparted"),
        N_("The library that reads partition tables here; sfdisk is another reader, to compare with."),
        ("partitions",),
    ),
    Word(
        N_("rsync"),
        N_("Copies files to another machine and goes on where it stopped; rclone does so to a cloud."),
        ("target", "how"),
    ),
    Word(
        N_("server"),
        N_("A background program of ours that puts a disk's pieces together and serves them as one."),
        ("stack", "quit"),
    ),
    Word(
        N_("setting"),
        N_("A value of the kernel's that was changed for the work, and is put back when it comes down."),
        ("stack",),
    ),
    Word(
        N_("container"),
        N_("An encrypted partition; what is inside shows only with the passphrase."),
        ("partitions",),
    ),
    Word(
        N_("capabilities"),
        N_("Single rights of root that a program file carries, such as to open low ports."),
        ("how",),
    ),
    Word(
        N_("device node"),
        N_("A name below /dev that leads to hardware: a copied one would lead to this host's."),
        ("how",),
    ),
    Word(
        N_("dirty journal"),
        N_("The machine died with changes noted but not yet made; the file system wants to carry them out."),
        ("protect", "volume"),
    ),
    Word(
        N_("export"),
        N_("A background program that shows an image of any format as plain bytes, in one file."),
        ("protect", "partitions", "stack"),
    ),
    Word(
        N_("ext4"),
        N_("The usual file system of Linux; ext2 and ext3 are its predecessors."),
        ("partitions", "volume"),
    ),
    Word(
        N_("extended partition"),
        N_("A box in an old table (MBR) that holds the logical partitions, numbered from 5 on."),
        ("partitions",),
    ),
    Word(
        N_("file system"),
        N_("How files and folders are laid down on a volume: ext4, XFS or NTFS, say."),
        ("partitions", "volume"),
    ),
    Word(
        N_("FUSE"),
        N_("A way for an ordinary program to show a file system or a file to the kernel."),
        ("stack",),
    ),
    Word(N_("gap"), N_("Sectors that belong to no partition; lost ones may lie there."), ("partitions",)),
    Word(
        N_("GPT"),
        N_("The partition table of newer disks, kept twice: at the beginning and at the end."),
        ("partitions",),
    ),
    Word(N_("guest"), N_("The virtual machine, as seen from the host."), ("protect", "files")),
    Word(
        N_("hole"),
        N_("A stretch of a file that was never written: it reads as zeros and takes no room."),
        ("files", "done"),
    ),
    Word(
        N_("host"),
        N_("This machine, on which the virtual machines run."),
        ("start", "protect"),
    ),
    Word(N_("image"), N_("A file that is a virtual machine's disk."), ("start", "disk")),
    Word(
        N_("journal"),
        N_("Changes noted before they are made: by a file system, and by virt-salvage for what it puts up."),
        ("protect", "volume", "leftovers", "stack"),
    ),
    Word(
        N_("kpartx"),
        N_("A program that makes a device of every partition of a disk, by the device mapper."),
        ("volume",),
    ),
    Word(
        N_("lazy unmount"),
        N_("A mount goes out of sight at once, but stays in use until its last user ends."),
        ("busy", "stack"),
    ),
    Word(
        N_("logical volume"),
        N_("A volume of LVM: it may lie in pieces on several partitions."),
        ("partitions",),
    ),
    Word(
        N_("loop device"),
        N_("A device of the kernel that shows a file, or a part of it, as a disk: /dev/loop0."),
        ("volume", "stack"),
    ),
    Word(N_("LUKS"), N_("The usual encryption of partitions under Linux."), ("partitions", "volume")),
    Word(
        N_("LVM"),
        N_("Puts partitions together into a group and cuts logical volumes out of it."),
        ("partitions",),
    ),
    Word(
        N_("MBR"),
        N_("The old partition table, in the first sector: four entries, one of which may be extended."),
        ("partitions",),
    ),
    Word(N_("mount"), N_("To let the files of a volume appear at a folder."), ("volume", "stack", "shown")),
    Word(
        N_("namespace"),
        N_("A private view of the mounts: what is mounted there, no other program sees or holds."),
        ("volume",),
    ),
    Word(
        N_("header"),
        N_("The first bytes of an image or a container: they say what it is and where its data lie."),
        ("disk", "trouble", "passphrase"),
    ),
    Word(
        N_("immutable"),
        N_("A flag of a file that even root cannot change or delete until it is taken off."),
        ("how",),
    ),
    Word(
        N_("network block device"),
        N_("A device of the kernel, /dev/nbd0, whose bytes a program serves: here qemu-nbd, any image."),
        ("volume",),
    ),
    Word(
        N_("offset"),
        N_("Where something begins, counted in bytes from the start of the disk."),
        ("partitions", "volume"),
    ),
    Word(
        N_("overlay"),
        N_("A thin layer over the disk that takes every write; thrown away, the disk is as before."),
        ("protect", "volume", "commit"),
    ),
    Word(
        N_("owner"), N_("The numbers of a file's user and group, as the guest knows them."), ("files", "done")
    ),
    Word(N_("partition"), N_("A stretch of a disk with a number and a purpose."), ("partitions",)),
    Word(
        N_("partition table"),
        N_("The list, on the disk itself, of where its partitions begin and end."),
        ("partitions",),
    ),
    Word(
        N_("qcow2"),
        N_("QEMU's own image format: grows as it is written, knows snapshots and backing files."),
        ("disk",),
    ),
    Word(
        N_("raw"),
        N_("An image without any format: byte for byte what the machine saw as its disk."),
        ("disk", "protect"),
    ),
    Word(N_("read only"), N_("Nothing can be written, not by mistake either."), ("protect", "volume")),
    Word(
        N_("replay"),
        N_("To carry out the changes that a journal notes. It writes, so it needs an overlay."),
        ("protect", "volume"),
    ),
    Word(
        N_("sector"),
        N_("The smallest piece of a disk: 512 bytes on nearly every one, 4096 on some."),
        ("partitions",),
    ),
    Word(
        N_("setuid"),
        N_("A program file that runs with its owner's rights, root's for example, whoever starts it."),
        ("how",),
    ),
    Word(N_("snapshot"), N_("The state of a disk at a moment, kept inside the image."), ("disk", "protect")),
    Word(
        N_("sparse"),
        N_("With holes: a file that seems larger than the room that it takes."),
        ("files", "done"),
    ),
    Word(
        N_("superblock"),
        N_("Where a file system describes itself: kind, size, label; most keep copies further on."),
        ("partitions", "volume", "search", "byhand"),
    ),
    Word(N_("swap"), N_("Room for memory that did not fit; it holds no files."), ("partitions",)),
    Word(
        N_("undo stack"),
        N_("Everything that is up, in the order in which it was put up; taken down last first."),
        ("stack", "done", "leftovers"),
    ),
    Word(
        N_("UUID"),
        N_("A long number that names a file system, a partition or a group, meant to be unique."),
        ("partitions",),
    ),
    Word(
        N_("volume"),
        N_("What a file system lies on: a partition, a logical volume, a whole disk."),
        ("partitions", "volume"),
    ),
    Word(
        N_("xattr"),
        N_("Extended attributes: small notes on a file beside its contents, such as its access list."),
        ("files", "done"),
    ),
    Word(
        N_("XFS"), N_("A file system for large disks, common on Red Hat's systems."), ("partitions", "volume")
    ),
)


def matching(letters: str, topic: str = "") -> tuple[list[Word], list[Word]]:
    """The words that have these letters, sorted: those that the screen speaks of, and the others."""
    wanted = letters.casefold()
    found = [one for one in WORDS if wanted in f"{_(one.name)} {_(one.means)}".casefold()]
    found.sort(key=lambda one: _(one.name).casefold())
    here = [one for one in found if topic in one.topics]
    return here, [one for one in found if one not in here]
