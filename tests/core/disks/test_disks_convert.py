"""A conversion is the same disk in another format, or it is not there at all."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.disks.convert import WRITTEN, Converted, convert
from core.disks.extents import extents
from core.disks.model import Disk
from core.errors import Cancelled, NoSpace, Refused, SalvageError, WrongUsage
from core.files.progress import Progress
from core.runner import PlanRunner, Result, SystemRunner
from tests.conftest import Guard, Program, needs_root
from tests.core.disks.disk_images import SIZE, content, converted, created, opened


def _convert(disk: Disk, dest: Path, to: str) -> Converted:
    return convert(disk, dest, to, SystemRunner(), lambda _progress: None)


def _raw(image: Path, format: str, to: Path) -> bytes:
    subprocess.run(["qemu-img", "convert", "-f", format, "-O", "raw", image, to], check=True)
    return to.read_bytes()


@pytest.fixture
def raw(tmp_path: Path, guard: Guard) -> Path:
    path = content(tmp_path / "disk.raw")
    guard.watch(path)
    return path


@pytest.mark.parametrize("format", WRITTEN)
def test_every_format_holds_the_same_bytes(raw: Path, tmp_path: Path, format: str) -> None:
    reports: list[Progress] = []
    new = tmp_path / "new"
    done = convert(opened(raw), new, format, SystemRunner(), reports.append)
    assert _raw(new, format, tmp_path / "again")[:SIZE] == raw.read_bytes()
    assert (done.format, done.lacks) == (format, ())
    assert (reports[-1].bytes_done, reports[-1].bytes_total) == (2 * SIZE, 2 * SIZE)
    assert new.stat().st_mode & 0o777 == raw.stat().st_mode & 0o777
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "disk.raw", "new"]
    assert opened(new, format).virtual_size == SIZE


def test_a_chain_becomes_one_image_and_both_links_stay(tmp_path: Path, guard: Guard) -> None:
    base = converted(content(tmp_path / "raw"), tmp_path / "base.vmdk", "vmdk")
    top = created(tmp_path / "top.qcow2", "qcow2", "-F", "vmdk", "-b", "base.vmdk")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 9 1M 64k", top], check=True)
    guard.watch(base, top)
    _convert(opened(top), tmp_path / "flat.qcow2", "qcow2")
    seen = _raw(tmp_path / "flat.qcow2", "qcow2", tmp_path / "seen")
    assert seen[1 << 20 : (1 << 20) + 65536] == b"\x09" * 65536
    assert seen[: 1 << 20] == (tmp_path / "raw").read_bytes()[: 1 << 20]
    assert len(opened(tmp_path / "flat.qcow2").chain) == 1


def test_a_raw_image_stays_sparse(tmp_path: Path) -> None:
    path = content(tmp_path / "disk.raw")
    os.truncate(path, 1 << 30)
    done = _convert(opened(path), tmp_path / "new.raw", "raw")
    assert done.virtual_size == (tmp_path / "new.raw").stat().st_size == 1 << 30
    assert done.allocated < 1 << 20


def test_in_a_folder_it_gets_the_disks_name_and_the_formats_suffix(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    assert _convert(opened(raw), tmp_path / "to", "vpc").path == tmp_path / "to" / "disk.vhd"


def test_a_vmdk_knows_itself_by_its_final_name(raw: Path, tmp_path: Path) -> None:
    _convert(opened(raw), tmp_path / "web01.vmdk", "vmdk")
    assert b'SPARSE "web01.vmdk"' in (tmp_path / "web01.vmdk").read_bytes()[: 1 << 16]


def test_nothing_is_ever_replaced(raw: Path, tmp_path: Path, program: Program) -> None:
    there = tmp_path / "there.qcow2"
    there.write_text("precious")
    called = program("convert", raw, there, "--to", "qcow2")
    assert called.status == 3
    assert "exists already" in called.err
    assert there.read_text() == "precious"


def test_a_name_taken_at_the_last_moment_is_left_alone(raw: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.raw"

    class Late(SystemRunner):
        def run(self, command, pass_fds=(), hear=None) -> Result:  # type: ignore[no-untyped-def]
            if command.argv[:2] == ("qemu-img", "compare"):
                new.write_text("somebody else's")
            return super().run(command, pass_fds, hear)

    with pytest.raises(Refused):
        convert(opened(raw), new, "raw", Late(), lambda _progress: None)
    assert new.read_text() == "somebody else's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "new.raw"]


def test_a_new_image_that_differs_gets_no_name(raw: Path, tmp_path: Path) -> None:
    class Faulty(SystemRunner):
        def run(self, command, pass_fds=(), hear=None) -> Result:  # type: ignore[no-untyped-def]
            if command.argv[:2] == ("qemu-img", "compare"):
                made = next(tmp_path.glob(".new.raw.virt-salvage-part/*"))
                with open(made, "r+b") as file:
                    file.seek(SIZE // 2)
                    file.write(b"?")
            return super().run(command, pass_fds, hear)

    with pytest.raises(SalvageError, match="not the same"):
        convert(opened(raw), tmp_path / "new.raw", "raw", Faulty(), lambda _progress: None)
    assert [path.name for path in tmp_path.iterdir()] == ["disk.raw"]


def test_what_a_cut_short_image_lacks_is_said_and_the_status_tells(
    tmp_path: Path, program: Program, guard: Guard
) -> None:
    image = converted(content(tmp_path / "raw"), tmp_path / "cut.qcow2", "qcow2")
    whole = image.stat().st_size
    os.truncate(image, whole - 65536)
    guard.watch(image)
    called = program("convert", image, tmp_path / "new.raw", "--to", "raw", "--json")
    assert called.status == 4
    assert "read as zeros" in called.err or "missing" in called.err
    told = json.loads(called.out)
    assert told["missing"] == [{"path": str(image), "bytes": 65536}]
    assert told["verified"] is True
    assert (tmp_path / "new.raw").read_bytes()[SIZE - 4096 :] == bytes(4096)


def test_a_whole_image_lacks_nothing(tmp_path: Path) -> None:
    raw = content(tmp_path / "raw")
    for format in ("qcow2", "vdi", "vmdk", "vhdx", "qed", "parallels"):
        image = converted(raw, tmp_path / f"one.{format}", format)
        found = extents(opened(image), SystemRunner(), 4096)
        assert found.lacks == (), format
        assert found.data is not None and 3 * 4096 <= found.data <= SIZE, format


def test_internal_snapshots_are_not_carried_over_and_that_is_said(tmp_path: Path, program: Program) -> None:
    image = converted(content(tmp_path / "raw"), tmp_path / "one.qcow2", "qcow2")
    subprocess.run(["qemu-img", "snapshot", "-c", "before", image], check=True)
    called = program("convert", image, tmp_path / "new.qcow2", "--to", "qcow2")
    assert called.status == 0
    assert "snapshots (1) are not in the new image" in called.err
    assert "no backup" in called.err


def test_too_little_room_is_found_before_the_first_byte(
    raw: Path, tmp_path: Path, small: Path, program: Program
) -> None:
    with open(raw.parent / "dense.raw", "wb") as file:
        file.write(os.urandom(6 << 20))
    called = program("convert", raw.parent / "dense.raw", small, "--to", "qcow2")
    assert called.status == 1
    assert "Nothing was written" in called.err
    assert list(small.iterdir()) == []


def test_a_target_that_fills_up_meanwhile_keeps_nothing(tmp_path: Path, small: Path) -> None:
    dense = tmp_path / "dense.raw"
    dense.write_bytes(os.urandom(2 << 20))

    class Filling(SystemRunner):
        def run(self, command, pass_fds=(), hear=None) -> Result:  # type: ignore[no-untyped-def]
            if command.argv[:2] == ("qemu-img", "convert"):
                (small / "ballast").write_bytes(bytes(3 << 20))
            return super().run(command, pass_fds, hear)

    with pytest.raises(NoSpace):
        convert(opened(dense, "raw"), small, "raw", Filling(), lambda _progress: None)
    assert [path.name for path in small.iterdir()] == ["ballast"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    if os.geteuid():
        pytest.skip("mounts a small file system, which needs root")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "small", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_cancelled_conversion_leaves_nothing(raw: Path, tmp_path: Path) -> None:
    token = CancelToken()

    class Stopped(SystemRunner):
        def run(self, command, pass_fds=(), hear=None) -> Result:  # type: ignore[no-untyped-def]
            if command.argv[:2] == ("qemu-img", "compare"):
                token.cancel()
            return super().run(command, pass_fds, hear)

    with pytest.raises(Cancelled):
        convert(opened(raw), tmp_path / "new.raw", "raw", Stopped(token), lambda _progress: None)
    assert [path.name for path in tmp_path.iterdir()] == ["disk.raw"]


def test_what_a_killed_conversion_left_is_cleared_away(raw: Path, tmp_path: Path) -> None:
    part = tmp_path / ".new.raw.virt-salvage-part"
    part.mkdir()
    (part / "new.raw").write_bytes(b"half")
    _convert(opened(raw), tmp_path / "new.raw", "raw")
    assert (tmp_path / "new.raw").read_bytes() == raw.read_bytes()
    assert not part.exists()


def test_bytes_that_cannot_be_read_stop_it_and_the_way_out_is_named(tmp_path: Path) -> None:
    image = converted(content(tmp_path / "raw"), tmp_path / "one.qcow2", "qcow2")
    table = int.from_bytes(image.read_bytes()[40:48], "big")
    with open(image, "r+b") as file:  # an L2 table off its cluster: nothing behind it can be read
        file.seek(table)
        file.write((0x8000000000000000 | 0x50200).to_bytes(8, "big"))
    with pytest.raises(SalvageError) as caught:
        _convert(opened(image), tmp_path / "new.raw", "raw")
    assert "virt-salvage backup" in caught.value.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.qcow2", "raw"]


@pytest.mark.parametrize("format", ["bochs", "dmg", "qcow", "nonsense"])
def test_a_format_that_is_not_written_is_wrong_usage(raw: Path, tmp_path: Path, format: str) -> None:
    with pytest.raises(WrongUsage):
        _convert(opened(raw), tmp_path / "new", format)


def test_a_plan_writes_nothing_and_names_the_true_commands(raw: Path, tmp_path: Path) -> None:
    runner = PlanRunner()
    convert(opened(raw), tmp_path / "new.qcow2", "qcow2", runner, lambda _progress: None)
    planned = [ran.command.argv[:2] for ran in runner.transcript if ran.command.changes]
    assert [words[0] for words in planned] == ["mkdir", "qemu-img", "sync", "qemu-img", "mv"]
    assert [path.name for path in tmp_path.iterdir()] == ["disk.raw"]


@needs_root
def test_a_disk_that_somebody_writes_to_is_refused(raw: Path, tmp_path: Path, program: Program) -> None:
    with open(raw, "r+b"):
        called = program("convert", raw, tmp_path / "new.qcow2", "--to", "qcow2")
    assert called.status == 3
    assert "writing to this disk" in called.err
    assert not (tmp_path / "new.qcow2").exists()
