"""Searching a guest's tree, what matters first in it, and what its files look like."""

import gzip
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from core.cancel import CancelToken
from core.errors import WrongUsage
from core.files.finding import Match, find, wanted
from core.files.matters import matters
from core.files.preview import Preview, preview
from core.files.tree import GuestTree


def found(root: Path, *words: str) -> dict[bytes, Match]:
    failures: list[bytes] = []
    with GuestTree(root) as tree:
        matches = list(
            find(tree, b"/", wanted(words), CancelToken(), lambda path, _why: failures.append(path))
        )
    assert failures == []
    return {match.path: match for match in matches}


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    root = tmp_path / "guest"
    (root / "etc").mkdir(parents=True)
    (root / "home/ann").mkdir(parents=True)
    (root / "etc/passwd").write_text("ann:x:1000:1000::/home/ann:/bin/sh\n")
    (root / "etc/app.conf").write_text("user=ann\nPassword = secret\n")
    (root / "etc/app.conf.bak").write_text("nothing")
    (root / "home/ann/Letter.txt").write_text("dear " * 400_000 + "\nthe needle is here\n")
    (root / "home/ann/photo.jpg").write_bytes(b"\0" * 100 + b"needle")
    (root / "home/ann/windows.txt").write_bytes("\ufeffone\nthe needle\n".encode("utf-16-le"))
    (root / "home/ann/empty").write_bytes(b"")
    (root / "home/ann/link").symlink_to("/etc/passwd")
    os.utime(root / "etc/app.conf", ns=(0, 1_700_000_000 * 10**9))
    os.utime(root / "etc/app.conf.bak", ns=(0, 1_500_000_000 * 10**9))
    os.mkfifo(root / "home/ann/pipe")
    return root


def test_by_name_glob_size_time_and_content(guest: Path) -> None:
    assert set(found(guest, "*.conf")) == {b"/etc/app.conf"}
    assert set(found(guest, "letter")) == {b"/home/ann/Letter.txt"}
    assert set(found(guest, "/etc/*.conf*")) == {b"/etc/app.conf", b"/etc/app.conf.bak"}
    assert set(found(guest, "size:+1M")) == {b"/home/ann/Letter.txt"}
    assert b"/home/ann/empty" in found(guest, "size:-0")
    assert set(found(guest, "app", "after:2020-01-01")) == {b"/etc/app.conf"}
    assert set(found(guest, "app", "before:2020")) == {b"/etc/app.conf.bak"}
    assert set(found(guest, "in:/home", "text:needle")) == {
        b"/home/ann/Letter.txt",
        b"/home/ann/windows.txt",
    }
    hit = found(guest, "text:password")[b"/etc/app.conf"]
    assert (hit.number, hit.line) == (2, b"Password = secret")
    letter = found(guest, "text:needle")[b"/home/ann/Letter.txt"]
    assert (letter.number, letter.line) == (2, b"the needle is here")
    assert found(guest, "link")[b"/home/ann/link"].entry.target == b"/etc/passwd"


def test_a_text_over_the_border_of_two_pieces_is_found(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * ((1 << 20) - 3) + b"needle\n")
    assert set(found(tmp_path, "text:needle")) == {b"/big"}


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners, which needs root")
def test_by_owner_as_the_guest_calls_it(guest: Path) -> None:
    os.chown(guest / "home/ann/empty", 1000, 1000)
    assert set(found(guest, "owner:ann")) == set(found(guest, "owner:1000")) == {b"/home/ann/empty"}
    with pytest.raises(WrongUsage, match="no user called bob"):
        found(guest, "owner:bob")
    for word in ("²", "9" * 5000):  # digits, and no number of a user
        with pytest.raises(WrongUsage, match="no user called"):
            found(guest, f"owner:{word}")


@pytest.mark.parametrize("words", [(), ("size:much",), ("size:" + "9" * 5000,), ("after:yesterday",)])
def test_what_makes_no_sense_is_told(words: tuple[str, ...]) -> None:
    with pytest.raises(WrongUsage):
        wanted(words)


def test_results_come_while_it_goes_on(guest: Path) -> None:
    with GuestTree(guest) as tree:
        results = find(tree, b"/", wanted(["*"]), CancelToken(), lambda *_why: None)
        assert next(results).path.startswith(b"/")
        results.close()  # type: ignore[attr-defined]


def _filled(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).mkdir(parents=True)
        (root / path / "x").write_text("x")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            ("etc", "home/ann", "home/lost+found", "root", "var/lib/mysql", "var/www", "usr/bin"),
            {b"/etc", b"/home/ann", b"/root", b"/var/lib/mysql", b"/var/www"},
        ),
        (("lib/postgresql", "log", "mail"), {b"/lib/postgresql", b"/mail"}),
        (
            ("Windows/System32/Config", "Users/Ann", "Users/Public", "PROGRAMDATA/mysql"),
            {b"/Users/Ann", b"/Windows/System32/Config", b"/PROGRAMDATA/mysql"},
        ),
        (("ann/.ssh", "lost+found"), {b"/ann"}),
        (("home/ann", "opt/shop", "lost+found"), {b"/home/ann", b"/opt"}),
        (("data",), set()),
    ],
)
def test_what_matters_is_known_by_the_layout(
    tmp_path: Path, made: tuple[str, ...], expected: set[bytes]
) -> None:
    _filled(tmp_path, *made)
    (tmp_path / "srv").symlink_to("/")
    with GuestTree(tmp_path) as tree:
        assert {matter.path for matter in matters(tree)} == expected


def shown(path: Path) -> Preview:
    fd = os.open(path, os.O_RDONLY)
    try:
        return preview(fd, path.stat().st_size)
    finally:
        os.close(fd)


def test_text_is_known_by_its_own_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text"
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        path.write_bytes("grüße an alle, die das hier lesen\nzwei".encode(encoding))
        assert shown(path).encoding == encoding
    path.write_bytes("\ufeffmit Marke".encode("utf-16-le"))
    assert shown(path).encoding == "utf-16-le"
    path.write_bytes(b"gr\xfc\xdfe\x1b[31m")
    assert (shown(path).what, shown(path).encoding) == ("CP1252", "cp1252")
    path.write_bytes(bytes(range(256)))
    assert (shown(path).encoding, shown(path).lines) == ("", [])
    path.write_bytes(gzip.compress(b"a line of an old log\x1b[2J\n" * 100))
    assert shown(path).lines[0] == "a line of an old log\\x1b[2J"


def test_archives_are_listed_and_broken_ones_are_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "evil\x1b[2J").write_text("x" * 5000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "evil\x1b[2J", "in/evil\x1b[2J")
    for ending, mode in (("tar", "w"), ("tgz", "w:gz"), ("txz", "w:xz"), ("tbz", "w:bz2")):
        with tarfile.open(tmp_path / f"a.{ending}", mode) as tar:
            tar.add(tmp_path / "evil\x1b[2J", "in/evil\x1b[2J")
    for name in ("a.zip", "a.tar", "a.tgz", "a.txz", "a.tbz"):
        listed = shown(tmp_path / name)
        assert listed.lines == ["   4.9 KiB  in/evil\\x1b[2J"], name
        data = (tmp_path / name).read_bytes()
        (tmp_path / "broken").write_bytes(data[: len(data) // 2] + os.urandom(50))
        assert shown(tmp_path / "broken").what
