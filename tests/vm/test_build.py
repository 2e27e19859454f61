"""The parts of the build that need neither QEMU nor a package server."""

import lzma
import struct
from pathlib import Path

import pytest

from core import tools
from core.errors import ToolMissing

from . import build
from .boot import load_order, uncompressed

DEPENDENCIES = """\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio_ring.ko
kernel/net/9p/9pnet.ko:
kernel/fs/netfs/netfs.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
kernel/fs/unused.ko:
"""


def bz_image(kernel: bytes, setup_sectors: int = 4) -> bytes:
    """A kernel packed as the build of Linux does it."""
    packed = lzma.compress(kernel, lzma.FORMAT_XZ, check=lzma.CHECK_CRC32) + struct.pack("<I", len(kernel))
    head = bytearray((setup_sectors + 1) * 512)
    head[0x1F1] = setup_sectors
    head[0x202:0x206] = b"HdrS"
    head[0x248:0x250] = struct.pack("<II", 100, len(packed))
    return bytes(head) + bytes(100) + packed + b"what follows"


def test_kernel_is_unpacked() -> None:
    kernel = b"\x7fELF" + bytes(range(256)) * 40
    assert uncompressed(bz_image(kernel)) == kernel


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(4096), id="zeros"),
        pytest.param(bz_image(b"no kernel"), id="no ELF file"),
        pytest.param(bz_image(bytes(range(256)) * 9)[:2700], id="cut short"),
        pytest.param(bz_image(b"\x7fELF" + bytes(99))[:2700], id="ELF file cut short"),
        pytest.param(bz_image(b"\x7fELF").replace(b"7zXZ", b"zstd"), id="packed with something else"),
    ],
)
def test_what_is_no_kernel_is_refused(image: bytes) -> None:
    with pytest.raises(ValueError):
        uncompressed(image)


def test_modules_come_after_what_they_need_and_once() -> None:
    order = [path.rpartition("/")[2] for path in load_order(DEPENDENCIES, ["9pnet_virtio", "9p", "built_in"])]
    assert sorted(order) == [
        "9p.ko",
        "9pnet.ko",
        "9pnet_virtio.ko",
        "netfs.ko",
        "virtio.ko",
        "virtio_ring.ko",
    ]
    for line in DEPENDENCIES.splitlines():
        module, *needs = (path.rpartition("/")[2].rstrip(":") for path in line.split())
        if module in order:
            assert all(order.index(need) < order.index(module) for need in needs)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = tools.find
    monkeypatch.setattr(
        tools, "find", lambda name: None if name in ("sqfstar", "mmdebstrap") else found(name)
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ToolMissing) as missing:
        build.build()
    assert "mmdebstrap" in missing.value.what
    assert "squashfs-tools" in missing.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_failed_build_says_why_and_leaves_its_log_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "require_programs", lambda building: None)
    monkeypatch.setattr(build, "_bootstrap", lambda: ["sh", "-c", "echo 'E: no server' >&2; exit 25"])
    with pytest.raises(build.ImageMissing) as missing:
        build.build()
    assert "no server" in missing.value.meaning
    assert sorted(path.name for path in build.cache().iterdir()) == ["build.log", "lock"]


def test_changed_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.recipe()
    assert build.recipe() == before
    monkeypatch.setattr(build, "PACKAGES", (*build.PACKAGES, "lsof"))
    assert build.recipe() != before
