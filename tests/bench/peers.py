"""Other tools that copy files out of a disk image, measured where they are installed.

libguestfs runs its appliance under TCG, as on a host without KVM.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.timing import each, run

_LIBGUESTFS = {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}


@dataclass(frozen=True)
class Peer:
    """A tool, the program that must be there, and how it copies a folder of an image into `out`."""

    name: str
    program: str
    package: str
    copy: Callable[[Path, str, Path], None]

    @property
    def is_here(self) -> bool:
        return shutil.which(self.program) is not None


def prepare() -> None:
    os.environ.update(_LIBGUESTFS)


def _dissect(image: Path, part: str, out: Path) -> None:
    run("target-fs", "-q", image, "cp", f"/{part}", "-o", out)


def _copy_out(image: Path, part: str, out: Path) -> None:
    run("virt-copy-out", "-a", image, f"/{part}", out)


def _tar_out(image: Path, part: str, out: Path) -> None:
    line = f"virt-tar-out -a {image} /{part} - | tar -C {out} --numeric-owner -xpf -"
    run("sh", "-c", line)


def _guestmount(image: Path, part: str, out: Path) -> None:
    point = out.with_name("guest")
    point.mkdir(exist_ok=True)
    run("guestmount", "-a", image, "-i", "--ro", point)
    try:
        each(("cp", "-a", point / part, out))
    finally:
        run("guestunmount", point)


PEERS = (
    Peer("Dissect target-fs", "target-fs", "dissect.target and dissect.extfs of PyPI", _dissect),
    Peer("virt-copy-out", "virt-copy-out", "libguestfs-tools", _copy_out),
    Peer("virt-tar-out", "virt-tar-out", "libguestfs-tools", _tar_out),
    Peer("guestmount, cp -a", "guestmount", "libguestfs-tools", _guestmount),
)
