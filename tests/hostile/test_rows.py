"""Every numbered row of bad, hostile and unlucky inputs has a test: `@pytest.mark.hostile(ROW)`.

`python -m tests.hostile.test_rows` prints the tests of each row.
"""

import contextlib
import io
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
Row = int | str

ROWS: dict[Row, str] = {
    # Image files that point elsewhere
    1: "a backing file that is a file of the host",
    2: "a backing file without its format",
    3: "json:, nbd:, ssh:, http: and other names that are no paths",
    4: "an external data file of a qcow2",
    5: "a VMDK descriptor with extents elsewhere",
    6: "a raw disk on which the guest wrote another format's header",
    7: "a raw disk with a LUKS header",
    8: "polyglots and hybrid media",
    9: "a differencing VHD without its parent",
    10: "a VHDX with a dirty log",
    11: "internal snapshots, dirty bit, corrupt bit",
    # Malformed containers
    12: "header fields out of range",
    13: "a helper program that crashes",
    14: "a helper program that takes all the memory, time or output",
    15: "sparse and decompression bombs",
    16: "corrupt tables in a container that opens",
    17: "a truncated container or raw disk",
    18: "a wrong file name extension",
    19: "no regular file, odd sizes, odd names",
    # Partition tables
    20: "extended partitions in a loop, very many, or outside",
    21: "a third entry in an extended table",
    22: "overlaps, ends beyond the disk, first after last",
    23: "a GPT of which one copy is damaged",
    24: "absurd counts and sizes in a GPT",
    25: "sectors of 4096 bytes",
    26: "file systems that look like a partition table",
    27: "a table in a partition, and one in itself",
    28: "names of partitions that a terminal obeys",
    29: "the same identifiers twice",
    # File systems and mounting
    30: "drivers of the kernel that nobody uses",
    31: "ext4 with errors=panic",
    32: "read-only mounts that write",
    33: "setuid, devices, programs in the guest",
    34: "symbolic links that lead out",
    35: "pipes, sockets and devices in the tree",
    36: "names of files",
    37: "depth, number and size of files",
    38: "two signatures in one partition",
    39: "clones of XFS and btrfs, btrfs on several devices",
    40: "volume groups of the guest on the host",
    41: "the desktop mounts our devices",
    "41b": "a file system larger than its partition",
    "41c": "subvolumes of btrfs",
    42: "what udisks answers",
    43: "encrypted layers",
    44: "hibernated NTFS, and what is recognised only",
    # User interface and reports
    45: "names that a screen reads as markup",
    46: "names that a terminal obeys",
    47: "names in reports and checksums",
    48: "links, clipboard and title of the terminal",
    # Host events
    49: "killed, hung up, resized without end",
    50: "power loss: a torn line in the journal",
    51: "no room for the journal, or read-only",
    52: "a loop number used by another one meanwhile",
    53: "a reboot, and a journal from before",
    54: "a shell in the mount",
    55: "a mount of somebody below or over ours",
    56: "a second instance, another user",
    57: "the daemon that serves the disk dies",
    58: "the virtual machine is started while we work",
    59: "the image is deleted, replaced or written to",
    60: "the target fills up or stalls",
    61: "the clock jumps",
    62: "programs of the system are missing",
    63: "names of devices go to other disks",
}
"""The rows by their numbers."""


class _Rows:
    """Hears which tests pytest collects, and notes them by the rows that they are marked with."""

    def __init__(self) -> None:
        self.tests: dict[Row, list[str]] = defaultdict(list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("hostile"):
                for row in mark.args:
                    self.tests[row].append(item.nodeid)


def by_row() -> dict[Row, list[str]]:
    """The tests of each row as pytest names them; for a process of its own, for it imports all tests."""
    rows = _Rows()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(
            ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:textual-snapshot", str(TESTS)],
            plugins=[rows],
        )
    return rows.tests


def test_every_row_has_a_test() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.hostile.test_rows"], cwd=TESTS.parent, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_rows_are_all_numbers_up_to_the_last() -> None:
    assert [row for row in ROWS if isinstance(row, int)] == list(range(1, 64))


def main() -> int:
    """Print each row with its tests; 1 where a row has none or a mark names no row."""
    found = by_row()
    for row, title in ROWS.items():
        print(f"{row}. {title}")
        for test in found.get(row, ["(none)"]):
            print(f"    {test}")
    wrong = [row for row in ROWS if row not in found] + [row for row in found if row not in ROWS]
    if wrong:
        print(f"without a test, or no row: {wrong}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
