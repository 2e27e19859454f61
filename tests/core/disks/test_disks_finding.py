"""The disks that lie about are found by name and header."""

import gzip
import os
import tarfile
import time
from pathlib import Path

import pytest

from core.disks import finding
from core.disks.finding import Found, block_devices, find_disks
from tests.core.disks.disk_images import SIZE, content, converted, created


def _images(*folders: Path, skipped: list[Path] | None = None) -> dict[str, Found]:
    return {found.path.name: found for found in find_disks(folders, skipped) if found.kind == "image"}


def test_images_are_found_by_name_and_by_header(tmp_path: Path) -> None:
    raw = content(tmp_path / "a.raw")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    converted(raw, tmp_path / "deep" / "er" / "disk", "qcow2")
    created(tmp_path / "deep" / "b.vmdk", "vmdk", "-o", "subformat=monolithicFlat")
    (tmp_path / "notes.txt").write_bytes(b"text " * 100000)
    (tmp_path / "empty.img").touch()
    found = _images(tmp_path)
    assert {name: (one.format, one.virtual_size) for name, one in found.items()} == {
        "a.raw": ("raw", SIZE),
        "disk": ("qcow2", SIZE),
        "b.vmdk": ("vmdk", SIZE),
    }


def test_loops_of_links_and_double_names_are_no_trouble(tmp_path: Path) -> None:
    raw = content(tmp_path / "a.raw")
    (tmp_path / "b.raw").symlink_to(raw)
    os.link(raw, tmp_path / "c.raw")
    (tmp_path / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo.img")
    assert list(_images(tmp_path, tmp_path)) == ["a.raw"]


def test_a_damaged_image_is_listed_and_counted(tmp_path: Path) -> None:
    (tmp_path / "bad.qcow2").write_bytes(b"QFI\xfb" + b"\xff" * 1000)
    skipped: list[Path] = []
    assert _images(tmp_path, skipped=skipped)["bad.qcow2"].virtual_size is None
    assert skipped == [tmp_path / "bad.qcow2"]


def test_thousands_of_files_are_no_burden(tmp_path: Path) -> None:
    header = created(tmp_path / "0.qcow2", "qcow2").read_bytes()
    for number in range(2000):
        (tmp_path / f"{number}.qcow2").write_bytes(header)
        (tmp_path / f"{number}.log").touch()
    began = time.monotonic()
    assert len(_images(tmp_path)) == 2000
    assert time.monotonic() - began < 2


def test_block_devices_have_a_size_and_no_memory_disks() -> None:
    found = list(block_devices())
    assert all(one.size > 0 and one.path.exists() for one in found)
    assert not any(one.path.name.startswith(("ram", "zram")) for one in found)


def test_a_cd_is_found_when_it_lies_in_its_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"fd0": 2880, "sr0": 2097151, "sr1": 1_331_200, "vda": 2097152}
    for name, sectors in sizes.items():
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / "size").write_text(f"{sectors}\n")
        (tmp_path / name).touch()
    monkeypatch.setattr(finding, "_SYSFS", tmp_path / "sys")
    monkeypatch.setattr(finding, "_DEV", tmp_path)
    skipped: list[Path] = []
    found = {one.path.name: (one.kind, one.size) for one in block_devices(skipped)}
    assert found == {"sr1": ("block", 1_331_200 * 512), "vda": ("block", 1 << 30)}
    assert skipped == []


def test_packed_images_are_found_as_what_they_are(tmp_path: Path) -> None:
    image = created(tmp_path / "a.qcow2", "qcow2")
    (tmp_path / "a.qcow2.gz").write_bytes(gzip.compress(image.read_bytes()))
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"text"))
    with tarfile.open(tmp_path / "web.ova", "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(image, "disk.qcow2")
    found = _images(tmp_path)
    told = {"a.qcow2": "qcow2", "a.qcow2.gz": "gz", "web.ova": "tar"}
    assert {name: one.format for name, one in found.items()} == told
    assert found["web.ova"].virtual_size is None
