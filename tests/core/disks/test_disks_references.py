"""What a header points to is opened only where that is safe."""

import json
import os
from pathlib import Path

import pytest

from core.disks.vet import blockdev
from core.errors import Exit, Refused, SalvageError
from tests.core.disks.disk_images import SIZE, content, converted, created, opened, patched


def _overlay(path: Path, backing: str, format: str = "qcow2") -> Path:
    return created(path, "qcow2", "-u", "-F", format, "-b", backing)


def test_a_backing_file_in_the_same_folder_is_part_of_the_disk(tmp_path: Path) -> None:
    base = converted(content(tmp_path / "raw"), tmp_path / "base.qcow2", "qcow2")
    disk = opened(_overlay(tmp_path / "top.qcow2", "base.qcow2"))
    assert [link.path for link in disk.chain] == [tmp_path / "top.qcow2", base]
    node = blockdev(disk, "disk")
    assert node["backing"]["driver"] == "qcow2"
    assert node["backing"]["backing"] is None
    assert node["backing"]["read-only"] is True


def test_the_hosts_password_file_is_not_shown(tmp_path: Path) -> None:
    top = _overlay(tmp_path / "top.qcow2", "/etc/passwd", "raw")
    with pytest.raises(Refused) as caught:
        opened(top)
    assert caught.value.status == Exit.REFUSED
    assert "/etc/passwd" in caught.value.what
    assert "--allow /etc/passwd" in caught.value.remedy


def test_allow_lets_that_very_path_through_and_no_other(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    lower = created(away / "lower.qcow2", "qcow2")
    base = _overlay(away / "base.qcow2", "lower.qcow2")
    top = _overlay(home / "top.qcow2", str(base))
    with pytest.raises(Refused, match=r"base\.qcow2"):
        opened(top)
    with pytest.raises(Refused, match=r"lower\.qcow2"):
        opened(top, allow=(base,))
    assert len(opened(top, allow=(base, lower)).chain) == 3


def test_allow_works_through_a_symbolic_link(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    base = created(away / "base.qcow2", "qcow2")
    (tmp_path / "link").symlink_to(base)
    top = _overlay(home / "top.qcow2", "../away/base.qcow2")
    assert len(opened(top, allow=(tmp_path / "link",)).chain) == 2


def test_a_link_out_of_the_folder_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "base.raw").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="/etc/passwd"):
        opened(_overlay(tmp_path / "top.qcow2", "base.raw", "raw"))


def test_a_disk_given_by_a_link_has_its_folder_where_it_really_lies(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    created(real / "base.qcow2", "qcow2")
    _overlay(real / "top.qcow2", "base.qcow2")
    (tmp_path / "shortcut.qcow2").symlink_to(real / "top.qcow2")
    disk = opened(tmp_path / "shortcut.qcow2")
    assert disk.path == real / "top.qcow2"
    assert disk.given == str(tmp_path / "shortcut.qcow2")
    assert len(disk.chain) == 2


@pytest.mark.parametrize(
    "name",
    [
        "nbd://127.0.0.1:9/x",
        "nbd:127.0.0.1:9",
        "http://127.0.0.1:9/x",
        "ssh://root@127.0.0.1/x",
        "fat:/etc",
        'json:{"driver":"file","filename":"/etc/passwd"}',
        "file:base.qcow2",
    ],
)
def test_names_of_other_places_are_never_followed(tmp_path: Path, name: str) -> None:
    top = created(tmp_path / "top.qcow2", "qcow2")
    raw = name.encode()
    patched(top, 1024, raw)
    patched(top, 8, (1024).to_bytes(8, "big") + len(raw).to_bytes(4, "big"))
    with pytest.raises(Refused, match="no file of this host"):
        opened(top, allow=(Path("/etc"), Path("/etc/passwd")))


def test_a_missing_backing_file_blocks_the_disk_and_is_named(tmp_path: Path) -> None:
    disk = opened(_overlay(tmp_path / "top.qcow2", "gone.qcow2"))
    assert [link.exists for link in disk.chain] == [True, False]
    assert "gone.qcow2" in disk.problems[0]
    with pytest.raises(Refused, match="missing"):
        blockdev(disk, "disk")


def test_a_chain_that_bites_its_tail_is_refused(tmp_path: Path) -> None:
    _overlay(tmp_path / "a.qcow2", "b.qcow2")
    _overlay(tmp_path / "b.qcow2", "a.qcow2")
    with pytest.raises(Refused, match="comes back"):
        opened(tmp_path / "a.qcow2")
    with pytest.raises(Refused, match="comes back"):
        opened(_overlay(tmp_path / "self.qcow2", "self.qcow2"))


def test_a_chain_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    for number in range(1, 34):
        _overlay(tmp_path / f"{number}.qcow2", f"{number - 1}.qcow2")
    created(tmp_path / "0.qcow2", "qcow2")
    assert len(opened(tmp_path / "31.qcow2").chain) == 32
    with pytest.raises(Refused, match="deeper than 32"):
        opened(tmp_path / "33.qcow2")


def test_a_fifo_as_backing_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "base.raw")
    with pytest.raises(Refused, match="no regular file"):
        opened(_overlay(tmp_path / "top.qcow2", "base.raw", "raw"))


def test_a_raw_backing_file_is_not_probed(tmp_path: Path) -> None:
    """A guest's header in a raw base must stay data, whatever it points to."""
    evil = _overlay(tmp_path / "base.raw", "/etc/passwd", "raw")
    disk = opened(_overlay(tmp_path / "top.qcow2", evil.name, "raw"))
    assert [link.format for link in disk.chain] == ["qcow2", "raw"]
    assert "/etc/passwd" not in json.dumps(blockdev(disk, "disk"))


def test_a_data_file_inside_is_allowed_and_outside_refused(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    inside = created(home / "in.qcow2", "qcow2", "-o", f"data_file={home}/in.data")
    disk = opened(inside)
    assert blockdev(disk, "disk")["data-file"]["file"]["filename"] == f"{home}/in.data"
    assert set(disk.files) == {inside, home / "in.data"}
    outside = created(home / "out.qcow2", "qcow2", "-o", f"data_file={away}/out.data")
    with pytest.raises(Refused, match=r"out\.data"):
        opened(outside)
    assert opened(outside, allow=(away / "out.data",)).files[1] == away / "out.data"


DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=33243b58
parentCID=ffffffff
createType="monolithicFlat"

# Extent description
RW {sectors} FLAT "{name}" 0
"""


def _descriptor(path: Path, name: str, sectors: int = 2) -> Path:
    path.write_text(DESCRIPTOR.format(name=name, sectors=sectors))
    return path


def test_extents_must_lie_beside_the_descriptor(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="/etc/passwd"):
        opened(_descriptor(tmp_path / "a.vmdk", "/etc/passwd"))
    with pytest.raises(Refused, match="no file of this host"):
        opened(_descriptor(tmp_path / "b.vmdk", "nbd://127.0.0.1/x"))
    content(tmp_path / "c-flat.vmdk")
    disk = opened(_descriptor(tmp_path / "c.vmdk", "c-flat.vmdk", SIZE // 512))
    assert (disk.format, disk.virtual_size, disk.blocked) == ("vmdk", SIZE, "")


def test_an_extent_that_is_too_short_blocks_the_disk(tmp_path: Path) -> None:
    content(tmp_path / "c-flat.vmdk")
    disk = opened(_descriptor(tmp_path / "c.vmdk", "c-flat.vmdk", 2 * SIZE // 512))
    assert "16.0 MiB" in disk.blocked


def test_twenty_thousand_extents_end_in_a_sentence(tmp_path: Path) -> None:
    lines = "".join(f'RW 1 FLAT "e{number}.vmdk" 0\n' for number in range(20000))
    (tmp_path / "many.vmdk").write_text(DESCRIPTOR.format(name="x.vmdk", sectors=1) + lines)
    with pytest.raises(SalvageError, match="damaged"):
        opened(tmp_path / "many.vmdk")


def test_a_descriptor_hidden_in_a_sparse_header_is_checked_too(tmp_path: Path) -> None:
    """With a capacity of 0 QEMU follows the extents of the embedded descriptor."""
    image = created(tmp_path / "a.vmdk", "vmdk")
    patched(image, 12, bytes(8))
    text = DESCRIPTOR.format(name="/etc/passwd", sectors=2).encode()
    patched(image, 512, text + bytes(1024 - len(text)))
    with pytest.raises(Refused, match="/etc/passwd"):
        opened(image)
