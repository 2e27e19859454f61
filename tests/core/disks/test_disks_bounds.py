"""Where a header may lead without the operator's word."""

from pathlib import Path

import pytest

from core.disks.bounds import Bounds, points_outside
from core.errors import WrongUsage

HOME = Path("/images/web")


def _asked(name: str, home: Path = HOME, kind: str = "backing", *allow: str) -> bool:
    bounds = Bounds.of(home / "disk.qcow2", 0, [Path(one) for one in allow])
    return bool(bounds.objection(home / "disk.qcow2", Path(name), kind))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("/images/web/base.qcow2", False),
        ("/images/web/below/base.qcow2", False),
        ("/images/web/.hidden", True),
        ("/images/web/.snapshots/base.qcow2", True),
        ("/images/webs/base.qcow2", True),
        ("/images/base.qcow2", True),
        ("/etc/shadow", True),
    ],
)
def test_the_disks_own_folder_is_its_own(name: str, asked: bool) -> None:
    assert _asked(name) is asked


def test_a_disk_in_the_root_folder_does_not_own_the_host() -> None:
    assert not _asked("/base.qcow2", Path("/"))
    assert _asked("/etc/shadow", Path("/"))


def test_extents_lie_beside_their_descriptor() -> None:
    assert not _asked("/images/web/d-flat.vmdk", HOME, "extent")
    assert _asked("/images/web/below/d-flat.vmdk", HOME, "extent")
    assert not _asked("/images/web/below/d-flat.vmdk", HOME, "extent", "/images/web/below/d-flat.vmdk")


def test_a_word_counts_for_its_path_alone() -> None:
    assert not _asked("/away/base.qcow2", HOME, "backing", "/away/base.qcow2")
    assert _asked("/away/base.qcow2", HOME, "backing", "/away")
    assert _asked("/away/base.qcow2", HOME, "backing", "/away/base.qcow")


def test_a_word_that_leads_nowhere_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(WrongUsage, match="leads nowhere"):
        Bounds.of(tmp_path / "disk", 0, [tmp_path / "loop"])


def test_all_objections_are_told_but_no_endless_list() -> None:
    error = points_outside(Path("/d"), [(Path(f"/x/{number} y"), "why") for number in range(8)])
    assert error.path == Path("/x/0 y")
    assert "/x/4 y (why) and 3 more" in error.what
    assert "--allow '/x/0 y' --allow '/x/1 y'" in error.remedy
    assert "/x/5 y" not in error.paragraph()
