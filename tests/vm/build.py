"""The image of the test machine: kernel, first file system and root, made from Debian's packages.

It lies in the cache folder under the hash of its recipe, so it is made again only when the recipe
changes. No file of this host gets into it, and nothing is installed or mounted on this host.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core import tools
from core.errors import SalvageError, ToolMissing

from .boot import Entry, archive, load_order, uncompressed

RUN_PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "setpriv": "util-linux"}
"""The programs of this host that a machine runs with, each with its Debian package."""
BUILD_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "sqfstar": "squashfs-tools",
    "mke2fs": "e2fsprogs",
}
"""Those that only the build needs."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
KEYRING_PACKAGE = "debian-archive-keyring"

SUITE = "bookworm"
SOURCES = (
    f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main",
    f"deb [signed-by={KEYRING}] http://deb.debian.org/debian-security {SUITE}-security main",
)
PACKAGES = (
    *("python3", "python3-psutil", "python3-parted", "python-is-python3", "busybox-static", "procps"),
    *("udev", "kmod", "mount", "util-linux", "fdisk", "gdisk", "parted", "dmsetup", "kpartx"),
    *("lvm2", "thin-provisioning-tools", "cryptsetup-bin", "mdadm"),
    *("qemu-utils", "qemu-system-common", "nbd-client", "fuse3"),
    *("e2fsprogs", "xfsprogs", "btrfs-progs", "dosfstools", "exfatprogs", "ntfs-3g", "f2fs-tools"),
    *("udftools", "xorriso", "erofs-utils", "squashfs-tools", "acl", "attr", "rsync"),
    *("libpq5", "libicu72", "libldap-2.5-0", "libreadline8", "libxml2"),
)
"""What the root has beyond Debian's essential packages; the last line is what PostgreSQL runs with."""
HOOKS = ("kernel.sh", "postgresql.sh")
"""Run in the new root, one after the other, while the package lists are there."""
LEFT_OUT = ("doc", "man", "info", "locale", "lintian", "i18n")
"""Folders of /usr/share that the packages do not bring along."""
EARLY_MODULES = ("virtio_pci", "virtio_blk", "9p", "9pnet_virtio", "overlay", "squashfs")
EARLY_LINKS = ("sh", "mount", "mkdir", "cp", "insmod", "switch_root")
TEMPORARY_SIZE = 16 << 30
"""Bytes of the machine's /tmp; it takes only what is written."""
COMPRESSION = ("-comp", "lz4")
"""Under emulation the time to unpack counts, not the size."""

DEADLINE = 1800
"""Seconds that one program of the build may take."""
KEPT = 2
"""Images that stay in the cache, so that two checkouts do not build in turns."""


class ImageMissing(SalvageError):
    """The image of the test machine cannot be made here."""


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: a folder of files that QEMU starts from and, but for `compiled`, no machine changes."""

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinux"

    @property
    def early(self) -> Path:
        """The first file system, but for the scripts."""
        return self.folder / "early.cpio"

    @property
    def root(self) -> Path:
        return self.folder / "root.squashfs"

    @property
    def compiled(self) -> Path:
        """What the machines compiled of Python's modules, for the next one; there after the first."""
        return self.folder / "pycache.tar"

    @property
    def temporary(self) -> Path:
        """An empty ext4 for /tmp."""
        return self.folder / "temporary.ext4"


def cache() -> Path:
    """The folder of the images; see the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "virt-salvage-vm"


def recipe() -> str:
    """The hash of all that decides what the image contains."""
    decides = (
        *(SOURCES, PACKAGES, LEFT_OUT, EARLY_MODULES, EARLY_LINKS, TEMPORARY_SIZE, COMPRESSION),
        *(_hook(name) for name in HOOKS),
    )
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]


def build() -> Image:
    """The image of the present recipe, from the cache or newly made, which takes minutes.

    Raises `core.errors.ToolMissing` naming the packages that this host lacks, and `ImageMissing`
    when the build fails, for one because no package server answers.
    """
    folder = cache()
    image = Image(folder / f"image-{recipe()}")
    require_programs(building=not image.folder.is_dir())
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        if not image.folder.is_dir():
            _make(image)
            _tidy(folder)
    return image


def require_programs(building: bool) -> None:
    """Raise `core.errors.ToolMissing` naming the packages that this host lacks for the machine."""
    programs = RUN_PROGRAMS | BUILD_PROGRAMS if building else RUN_PROGRAMS
    lacking = sorted({package for name, package in programs.items() if not tools.find(name)})
    if building and not KEYRING.exists():
        lacking.append(KEYRING_PACKAGE)
    if building and os.getuid() and not tools.find("newuidmap"):
        lacking.append("uidmap")
    if lacking:
        raise ToolMissing(
            "The test machine needs packages that are not installed: {}.".format(", ".join(lacking)),
            "Nothing was changed.",
            "Install them with: apt-get install --no-install-recommends {}".format(" ".join(lacking)),
        )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Only one process at a time builds."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(image: Image) -> None:
    parent = image.folder.parent
    with tempfile.TemporaryDirectory(prefix="build-", dir=parent) as name, _log(parent) as log:
        work = Path(name)
        tar = work / "root.tar"
        made = Image(work / "image")
        made.folder.mkdir()
        _run(_bootstrap(), log, tar, TMPDIR=None if os.getuid() else name)
        _boot_files(tar, made)
        with tar.open("rb") as packed:
            _run(_squash(made.root), log, packed=packed.fileno())
        _run(_format(made.temporary), log)
        made.folder.rename(image.folder)


@contextmanager
def _log(folder: Path) -> Iterator[Path]:
    """A file for what the programs of the build say; it stays when the build fails."""
    path = folder / "build.log"
    path.write_bytes(b"")
    yield path
    path.unlink()


def _bootstrap() -> list[str]:
    exclude = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    return [
        *("mmdebstrap", "--variant=essential", "--architectures=amd64", "--format=tar"),
        *("--include=" + ",".join(PACKAGES), *exclude),
        *("--customize-hook=" + _hook(name) for name in HOOKS),
        *(SUITE, "-", *SOURCES),
    ]


def _hook(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _squash(target: Path) -> list[str]:
    return ["sqfstar", *COMPRESSION, "-no-progress", "-quiet", str(target), "boot"]


def _format(target: Path) -> list[str]:
    return ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", str(target), f"{TEMPORARY_SIZE >> 10}k"]


def _run(
    argv: list[str], log: Path, output: Path | None = None, packed: int | None = None, **changed: str | None
) -> None:
    """Run one program of the build, politely; what it says goes to `log`."""
    environment = {**os.environ, "PATH": tools.search_path(), "LC_ALL": "C.UTF-8"}
    environment |= {name: value for name, value in changed.items() if value is not None}
    with log.open("ab") as said, (output or log).open("ab") as out:
        try:
            done = subprocess.run(
                ["nice", *argv],
                stdin=subprocess.DEVNULL if packed is None else packed,
                stdout=out,
                stderr=said,
                env=environment,
                timeout=DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ImageMissing(
                f"The test machine could not be built: {argv[0]} did not end in {DEADLINE} seconds."
            ) from error
    if done.returncode:
        raise ImageMissing(
            f"The test machine could not be built: {argv[0]} failed with exit status {done.returncode}.",
            f"It said: {_first_error(log)}",
            f"All that it said is in {log}.",
        )


def _first_error(log: Path) -> str:
    """The first line that reports an error and the one before it; mmdebstrap goes on long after."""
    lines = [line[:200] for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    first = next((number for number, line in enumerate(lines) if line.startswith("E:")), len(lines) - 1)
    return " / ".join(lines[max(0, first - 1) : first + 1])


def _boot_files(tar: Path, image: Image) -> None:
    """Take the kernel and what the first file system needs out of the root."""
    with tarfile.open(tar) as root:
        members = {member.name.removeprefix("./"): member for member in root}

        def content(path: str) -> bytes:
            file = root.extractfile(members[path])
            assert file is not None
            with file:
                return file.read()

        index = next(name for name in members if name.endswith("/modules.dep"))
        folder = index.rpartition("/")[0]
        order = load_order(content(index).decode(), EARLY_MODULES)
        modules = {path.rpartition("/")[2]: content(f"{folder}/{path}") for path in order}
        image.early.write_bytes(archive(_early(content("usr/bin/busybox"), modules)))
        image.kernel.write_bytes(uncompressed(content("boot/vmlinuz")))


def _early(busybox: bytes, modules: dict[str, bytes]) -> dict[str, Entry]:
    folder, program, data, link = (
        stat.S_IFDIR | 0o755,
        stat.S_IFREG | 0o755,
        stat.S_IFREG | 0o644,
        stat.S_IFLNK,
    )
    folders = ("bin", "modules", "proc", "sys", "dev", "lower", "upper", "root")
    return {
        **{name: Entry(folder) for name in folders},
        "bin/busybox": Entry(program, busybox),
        **{f"bin/{name}": Entry(link | 0o777, b"busybox") for name in EARLY_LINKS},
        **{f"modules/{name}": Entry(data, content) for name, content in modules.items()},
        "modules/order": Entry(data, "".join(f"{name}\n" for name in modules).encode()),
    }


def _tidy(folder: Path) -> None:
    """Delete the oldest images; a machine that still runs from one keeps its open files."""
    images = sorted(folder.glob("image-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in images[KEPT:]:
        shutil.rmtree(old)
