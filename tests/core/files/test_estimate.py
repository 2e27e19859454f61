import os
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.errors import Cancelled
from core.files.estimate import estimate
from core.files.tree import GuestTree


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    root = tmp_path / "guest"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "data").write_bytes(b"x" * 10000)
    os.link(root / "a" / "data", root / "a" / "b" / "again")
    with open(root / "hole", "wb") as sink:
        sink.truncate(50 << 20)
    (root / "link").symlink_to("/etc")
    os.mkfifo(root / "fifo")
    return root


def test_every_name_counts_and_linked_bytes_once(guest: Path) -> None:
    with GuestTree(guest) as tree:
        count = estimate(tree, [b"/"], CancelToken())
    assert (count.files, count.directories, count.symlinks, count.others) == (3, 3, 1, 1)
    assert count.apparent == 10000 + (50 << 20)
    assert 10000 <= count.allocated < 1 << 20
    assert (count.entries, count.unreadable) == (8, ())


def test_hard_links_count_once_across_sources(guest: Path) -> None:
    with GuestTree(guest) as tree:
        assert estimate(tree, [b"a/data", b"/a/b", b"link"], CancelToken()).apparent == 10000


def test_it_can_be_stopped(guest: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with GuestTree(guest) as tree, pytest.raises(Cancelled):
        estimate(tree, [b"/"], cancel)
