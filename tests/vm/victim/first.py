"""Runs in the test machine: writes the victim's first file system, with the drivers that its disk wants."""

import stat
import sys
from pathlib import Path

from ..boot import Entry, archive, load_order

MODULES = (
    *("virtio_pci", "virtio_blk", "crc32c_generic", "crc32c_intel", "blake2b_generic", "xxhash_generic"),
    *("sha256_generic", "ext4", "xfs", "btrfs", "dm_mod"),
)
PROGRAMS = ("sh", "mount", "insmod", "switch_root")


def main(target: Path) -> None:
    # not those of the kernel that runs, which may be a program of the host: those for a machine
    [driver] = Path("/usr/lib/modules").glob("*/kernel/arch/x86/crypto/crc32c-intel.ko*")
    folder = driver.parents[4]
    order = load_order((folder / "modules.dep").read_text(), MODULES)
    program, data = stat.S_IFREG | 0o755, stat.S_IFREG | 0o644
    names = [path.rpartition("/")[2] for path in order]
    entries = {
        **{name: Entry(stat.S_IFDIR | 0o755) for name in ("bin", "modules", "proc", "sys", "dev", "root")},
        "bin/busybox": Entry(program, Path("/usr/bin/busybox").read_bytes()),
        **{f"bin/{name}": Entry(stat.S_IFLNK | 0o777, b"busybox") for name in PROGRAMS},
        **{
            f"modules/{name}": Entry(data, (folder / path).read_bytes())
            for name, path in zip(names, order, strict=True)
        },
        "modules/order": Entry(data, "".join(f"{name}\n" for name in names).encode()),
        "init": Entry(program, (Path(__file__).parent / "early.sh").read_bytes()),
    }
    target.write_bytes(archive(entries))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
