"""What one would type at a step, line by line; what begins with ``#`` is for the reader."""

from collections.abc import Mapping

from core.i18n import N_

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "practise": (
        "virt-salvage lab list",
        "virt-salvage lab start NAME",
        "virt-salvage lab check NAME",
        "virt-salvage lab reset NAME",
    ),
    "answer": ("virt-salvage lab answer NAME TEXT",),
    "said": (
        "virt-salvage lab hint NAME",
        "virt-salvage lab check NAME",
        "virt-salvage lab talk NAME",
        "virt-salvage lab record",
    ),
    "byhand": ("virt-salvage lab hand NAME",),
    "leftovers": (
        "virt-salvage status",
        "virt-salvage undo SESSION",
    ),
    "disk": (
        "qemu-img info --backing-chain DISK",
        N_("# It opens the files that the header names."),
    ),
    "protect": (
        N_("# Who has it open:"),
        "fuser --verbose DISK",
        N_("# Only of a disk that nobody writes to. An overlay:"),
        "qemu-img create -f qcow2 -F FORMAT -b DISK overlay.qcow2",
        N_("# A backup:"),
        "cp --sparse=always DISK BACKUP",
    ),
    "backup": (
        "cp --sparse=always DISK BACKUP",
        "cmp DISK BACKUP",
        N_("# On a failing medium:"),
        "ddrescue DISK BACKUP MAP",
        N_("# To another format:"),
        "qemu-img convert -t none -f FORMAT -O FORMAT DISK NEW",
        "qemu-img compare DISK NEW",
    ),
    "commit": (
        "cp DISK BACKUP",
        "qemu-img commit -d OVERLAY",
        "qemu-img compare OVERLAY DISK",
    ),
    "snapshot": (
        "qemu-img snapshot -l DISK",
        "qemu-img convert -f qcow2 -l NAME -O raw DISK THEN.raw",
    ),
    "partitions": (
        N_("# RAW is a raw disk, or the disk shown as raw bytes (view.raw)."),
        "sfdisk --list RAW",
        N_("# N is start × 512, M is sectors × 512."),
        "mount -o ro,noload,loop,offset=N,sizelimit=M RAW DIR",
    ),
    "passphrase": (
        N_("# RAW is a raw disk, or the disk shown as raw bytes (view.raw)."),
        "losetup --find --show --read-only --offset N --sizelimit M RAW",
        "cryptsetup open --readonly /dev/loopX NAME",
    ),
    "search": (
        N_("# RAW is a raw disk, or the disk shown as raw bytes (view.raw)."),
        "testdisk RAW",
        "virt-salvage inspect --scan DISK",
    ),
    "volume": (
        N_("# RAW is a raw disk, or the disk shown as raw bytes (view.raw)."),
        "losetup --find --show --read-only --offset N --sizelimit M RAW",
        "mount -o ro,noload /dev/loopX DIR",
        N_("# Over an overlay without --read-only and without noload."),
    ),
    "check": (
        "e2fsck -n -f /dev/loopX",
        "xfs_repair -n /dev/loopX",
        "btrfs check --readonly /dev/loopX",
        N_("# Over an overlay: to replay the journal, to repair."),
        "mount -o ro /dev/loopX DIR",
        "e2fsck -y -f /dev/loopX",
    ),
    "subvolumes": (
        "mount -o ro,rescue=nologreplay,subvolid=5 /dev/loopX DIR",
        "btrfs subvolume list DIR",
        "umount DIR",
        N_("# Then the one that is wanted, by its ID:"),
        "mount -o ro,rescue=nologreplay,subvolid=ID /dev/loopX DIR",
    ),
    "files": (
        "cp --archive --sparse=always DIR/home TARGET",
        "find TARGET -type f -exec sha256sum {} +",
    ),
    "done": (
        "cd TARGET && sha256sum --check SHA256SUMS",
        "umount DIR",
        "losetup --detach /dev/loopX",
        N_("# The export, then the overlay:"),
        "kill PID",
        "rm overlay.qcow2",
    ),
    "shown": (
        "virt-salvage undo SESSION",
        N_("# Or, of one for writing, into the disk:"),
        "virt-salvage commit SESSION",
    ),
    "commands": (
        N_("# The same on paper, or told while it runs:"),
        "virt-salvage --dry-run copy DISK 5 /home TARGET",
        "virt-salvage --explain copy DISK 5 /home TARGET",
    ),
    "stack": (
        "umount DIR",
        "losetup --detach /dev/loopX",
        N_("# The export, then the overlay:"),
        "kill PID",
        "rm overlay.qcow2",
        N_("# All at once:"),
        "virt-salvage undo --all",
    ),
    "busy": (
        "fuser --verbose --mount DIR",
        "lsof +f -- DIR",
        "umount DIR",
    ),
    "preview": ("less FILE",),
    "quit": (
        "virt-salvage status",
        "virt-salvage undo --all",
    ),
    "how": (
        "cp --archive --backup=numbered DIR/home TARGET",
        "rsync --archive --ignore-existing DIR/home TARGET",
        "sha256sum --check SHA256SUMS",
    ),
    "target": (
        "cp --archive DIR/home TARGET",
        "tar --create --xattrs --acls --file home.tar DIR/home",
        "rsync -aHAX --numeric-ids DIR/home HOST:TARGET",
        "rclone copy --metadata DIR/home REMOTE:TARGET",
    ),
    "find": (
        "find DIR -name '*.conf' -size +1M -newermt 2024-05-01",
        "grep -rl TEXT DIR",
    ),
}
