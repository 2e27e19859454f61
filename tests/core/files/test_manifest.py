import io
import os
from pathlib import Path

import pytest

from core.files import manifest
from core.files.manifest import NoManifest, line, listed
from tests.core.files.copying import check_sums, run

DIGEST = "ab" * 32


@pytest.mark.hostile(47)
@pytest.mark.parametrize("name", [b"a", b"-", b"a\\b", b"a\nb\r\\n", b"\xff", b" a ", b"*a", b"#a", b"\\"])
def test_a_line_read_again_is_the_same_path(name: bytes) -> None:
    assert list(listed(io.BytesIO(line(name, DIGEST)))) == [(name, line(name, DIGEST))]


def test_something_else_is_no_manifest() -> None:
    with pytest.raises(NoManifest):
        list(listed(io.BytesIO(line(b"a", DIGEST) + b"not a line of sha256sum\n")))


def _guest(root: Path, **files: str) -> Path:
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    return root


def test_a_second_copy_adds_to_the_manifest_of_the_first(tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    run(_guest(tmp_path / "one", a="1", b="2"), dest)
    run(_guest(tmp_path / "two", c="3", a="1"), dest)
    names = sorted(entry.split()[1] for entry in (dest / "SHA256SUMS").read_text().splitlines())
    assert names == ["a", "b", "c"]
    assert check_sums(dest) == []


def test_of_very_many_files_a_part_is_compared_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_AT_ONCE", 7)
    dest = tmp_path / "dest"
    run(_guest(tmp_path / "one", **{f"a{number}": "1" for number in range(40)}), dest)
    run(_guest(tmp_path / "two", **{f"a{number}": "1" for number in range(20, 60)}), dest)
    names = sorted(entry.split()[1] for entry in (dest / "SHA256SUMS").read_text().splitlines())
    assert names == sorted(f"a{number}" for number in range(60))
    assert check_sums(dest) == []


@pytest.mark.hostile(47)
@pytest.mark.parametrize("text", ["the guest's own", "", f"{DIGEST}  some/file\n"])
def test_the_guest_s_own_manifest_is_a_file_like_any_other(tmp_path: Path, text: str) -> None:
    dest = tmp_path / "dest"
    root = _guest(tmp_path / "one", SHA256SUMS=text, a="1")
    for _time in range(2):
        copied = run(root, dest)
        assert copied.unreadable == []
        assert copied.manifest == dest / "SHA256SUMS.virt-salvage"
        assert (dest / "SHA256SUMS").read_text() == text
        assert check_sums(dest, copied.manifest.name) == []
    later = run(_guest(tmp_path / "two", b="2"), dest)
    assert later.manifest == dest / "SHA256SUMS.virt-salvage"
    assert (dest / "SHA256SUMS").read_text() == text
    assert len(later.manifest.read_text().splitlines()) == 3


def test_a_folder_of_that_name_is_left_alone(tmp_path: Path) -> None:
    root = _guest(tmp_path / "one", a="1")
    (root / "SHA256SUMS").mkdir()
    (root / "SHA256SUMS.virt-salvage").symlink_to("/etc/passwd")
    copied = run(root, tmp_path / "dest")
    assert copied.manifest.name == "SHA256SUMS.virt-salvage-2"
    assert os.listdir(tmp_path / "dest" / "SHA256SUMS") == []
