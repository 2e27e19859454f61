"""The sparse disks of VMware ESX, by writers of the tests; QEMU reads them, and every byte is compared."""

import json
from pathlib import Path

import pytest

from tests.conftest import Guard, Program, needs_root
from tests.core.disks.esx import KINDS, alone, snapshot
from tests.core.disks.small_guest import guest

pytestmark = needs_root
LONGER = 40 << 20
"""More than one table of each kind covers."""


def _disk(folder: Path, text: str, name: str) -> bytes:
    """A machine's disk, and something behind its partition far from the rest."""
    return guest(folder, text, name, "11111111-2222-3333-4444-555555555555").read_bytes().ljust(LONGER, b"\0")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_disk_in_one_extent(kind: str, tmp_path: Path, program: Program, guard: Guard) -> None:
    data = bytearray(_disk(tmp_path, "secret\n", "guest.raw"))
    data[LONGER - 700 : LONGER - 600] = b"near the end".ljust(100, b".")
    made = alone(tmp_path, kind, bytes(data))
    guard.watch(made)
    read = program("cat", made, "1", "/letter")
    assert (read.status, read.out) == (0, "secret\n"), read.err
    whole = program("convert", made, tmp_path / "whole.raw", "--to", "raw")
    assert whole.status == 0, whole.err
    assert (tmp_path / "whole.raw").read_bytes() == data


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_disk_with_a_snapshot(kind: str, tmp_path: Path, program: Program, guard: Guard) -> None:
    before, now = _disk(tmp_path, "before\n", "before.raw"), _disk(tmp_path, "now\n", "now.raw")
    made = snapshot(tmp_path, kind, now, before)
    guard.watch(*tmp_path.glob("web*.vmdk"))
    assert program("cat", made, "1", "/letter").out == "now\n"
    assert program("cat", tmp_path / "web.vmdk", "1", "/letter").out == "before\n"
    shown = json.loads(program("inspect", "--json", made).out)["disk"]
    assert [Path(link["path"]).name for link in shown["chain"]] == ["web-000001.vmdk", "web.vmdk"]
    assert program("convert", made, tmp_path / "whole.raw", "--to", "raw").status == 0
    assert (tmp_path / "whole.raw").read_bytes() == now
