"""What is no disk gets a clear sentence; what can be read in two ways is not guessed."""

import os
import socket
from pathlib import Path

import pytest

from core.disks.vet import blockdev
from core.errors import Exit, NeedsRoot, Refused, SalvageError, WrongUsage
from tests.core.disks.disk_images import SIZE, content, converted, created, opened, patched


def _error(path: Path | str, format: str | None = None) -> SalvageError:
    with pytest.raises(SalvageError) as caught:
        opened(path, format)
    return caught.value


def test_what_is_no_disk(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "tiny").write_bytes(b"x" * 511)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for name, sentence in (
        ("missing", "There is no"),
        ("dangling", "There is no"),
        ("loop", "leads nowhere"),
        ("empty", "empty"),
        ("tiny", "only 511 bytes"),
        (".", "folder"),
        ("fifo", "FIFO"),
        ("socket", "socket"),
    ):
        error = _error(tmp_path / name)
        assert sentence in error.what
        assert error.status == Exit.FAILED
    assert "character device" in _error("/dev/null").what


@pytest.mark.parametrize("name", ["-x", "json:{}", "nbd://h/x", "a\nb", "\x1b]0;pwned\x07", ""])
def test_strange_names_are_only_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = _error(name)
    assert "\x1b" not in error.paragraph()
    assert "\n" not in error.paragraph()
    if name and "/" not in name:
        content(tmp_path / name)
        assert opened(name).path == tmp_path / name


def test_an_unknown_format_is_wrong_usage(tmp_path: Path) -> None:
    error = _error(content(tmp_path / "a.raw"), "qcow3")
    assert isinstance(error, WrongUsage)
    assert "qcow2" in error.remedy


def test_a_format_that_it_is_not(tmp_path: Path) -> None:
    assert "no qcow2 header" in _error(content(tmp_path / "a.raw"), "qcow2").what


def test_a_size_that_is_no_multiple_of_512_is_a_problem_only(tmp_path: Path) -> None:
    path = content(tmp_path / "a.raw")
    os.truncate(path, SIZE - 100)
    disk = opened(path)
    assert disk.virtual_size == SIZE - 100
    assert "multiple of 512" in disk.problems[0]


def test_eight_exbibytes_are_no_trouble(tmp_path: Path) -> None:
    image = created(tmp_path / "a.qcow2", "qcow2", "-o", "cluster_size=2M", size=1 << 50)
    assert opened(image).virtual_size == 1 << 50
    patched(image, 24, b"\xff" * 8)
    assert "damaged" in _error(image).what


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
def test_without_permission_it_says_what_is_needed(tmp_path: Path) -> None:
    path = content(tmp_path / "a.raw")
    path.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        error = _error(path)
    finally:
        os.seteuid(0)
    assert isinstance(error, NeedsRoot)
    assert "sudo" in error.remedy


def test_a_qcow2_called_img_opens_as_what_it_is(tmp_path: Path) -> None:
    image = converted(content(tmp_path / "raw"), tmp_path / "disk.img", "qcow2")
    assert opened(image).format == "qcow2"
    assert opened(image.rename(tmp_path / "disk")).format == "qcow2"


@pytest.mark.parametrize("name", ["disk.raw", "disk.dd"])
def test_an_image_header_under_a_raw_name_is_refused(tmp_path: Path, name: str) -> None:
    image = converted(content(tmp_path / "content"), tmp_path / name, "qcow2")
    error = _error(image)
    assert isinstance(error, Refused)
    assert "--format raw" in error.remedy
    assert "--format qcow2" in error.remedy
    assert opened(image, "raw").virtual_size == image.stat().st_size
    assert opened(image, "qcow2").virtual_size == SIZE


def test_a_header_over_a_partition_table_is_refused(tmp_path: Path) -> None:
    image = converted(content(tmp_path / "raw"), tmp_path / "disk", "qcow2")
    entry = bytes((0x80, 0, 2, 0, 0x83, 0, 0, 0)) + (63).to_bytes(4, "little") + (1000).to_bytes(4, "little")
    patched(image, 446, entry + bytes(48) + b"\x55\xaa")
    assert isinstance(_error(image), Refused)


def test_a_header_that_leads_elsewhere_is_not_believed_under_img(tmp_path: Path) -> None:
    """What a guest could write to its raw disk to read its neighbour's."""
    content(tmp_path / "neighbour.img")
    created(tmp_path / "disk.img", "qcow2", "-F", "raw", "-b", "neighbour.img")
    assert isinstance(_error(tmp_path / "disk.img"), Refused)
    assert opened(tmp_path / "disk.img", "raw").format == "raw"
    assert len(opened(tmp_path / "disk.img", "qcow2").chain) == 2


def test_a_name_that_lies_is_told(tmp_path: Path) -> None:
    disk = opened(content(tmp_path / "disk.vmdk"))
    assert disk.format == "raw"
    assert "vmdk" in disk.problems[0]


def test_the_node_says_everything_so_that_nothing_is_guessed(tmp_path: Path) -> None:
    node = blockdev(opened(converted(content(tmp_path / "r"), tmp_path / "a.qcow2", "qcow2")), "disk")
    assert node == {
        "node-name": "disk",
        "driver": "qcow2",
        "read-only": True,
        "file": {"driver": "file", "filename": str(tmp_path / "a.qcow2"), "read-only": True},
        "backing": None,
    }
