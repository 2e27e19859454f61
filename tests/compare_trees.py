"""Whether two trees are the same, as find, getfattr, getfacl, sha256sum and rsync see them.

It shares no code with the program. `python tests/compare_trees.py ONE OTHER` prints the differences.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

# Kind, mode, owner, time of change, target of a link, number of names; size follows for files only.
_FORMAT = r"%P\0%y\0%#m\0%U:%G\0%T@\0%l\0%n\0%s\0%D:%i\0%b\0"
_FIELDS = ("kind", "mode", "owner", "mtime", "target", "names")
_SLACK = 128  # blocks of 512 bytes by which file systems may differ in how they store one file


def differences(one: Path, other: Path, ignore: Collection[bytes] = ()) -> list[str]:
    """What differs between the two trees below their top folders, a line each.

    `ignore` names entries at the top (relative paths) that only one of them has. Access times and
    inode change times do not count, nor do the two top folders themselves.
    """
    found: list[str] = []
    left, right = _found(one, ignore), _found(other, ignore)
    for path in sorted(left.keys() | right.keys()):
        if path not in left or path not in right:
            found.append(f"{path!r}: only in {one if path in left else other}")
            continue
        found += _entry_differences(path, left[path], right[path])
    found += _grouping(left, right)
    found += _texts("attributes", _getfattr(one, ignore), _getfattr(other, ignore))
    if shutil.which("getfacl"):
        found += _texts("ACL", _getfacl(one, left), _getfacl(other, right))
    found += _texts("content", _sums(one, left), _sums(other, right))
    found += _rsync(one, other, ignore)
    return found


def _run(argv: list[str | bytes], at: Path, given: bytes = b"") -> bytes:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(argv, cwd=at, input=given, capture_output=True, check=True, env=environment).stdout


def _found(at: Path, ignore: Collection[bytes]) -> dict[bytes, list[bytes]]:
    fields = _run(["find", ".", "-mindepth", "1", "-printf", _FORMAT], at).split(b"\0")
    rows = [fields[start : start + 10] for start in range(0, len(fields) - 1, 10)]
    return {row[0]: row[1:] for row in rows if row[0] not in ignore}


def _entry_differences(path: bytes, one: list[bytes], other: list[bytes]) -> list[str]:
    found = [
        f"{path!r}: {field} {one[index]!r} {other[index]!r}"
        for index, field in enumerate(_FIELDS)
        # A directory's number of names depends on the file system.
        if one[index] != other[index] and not (field == "names" and one[0] == b"d")
    ]
    if one[0] == b"f":
        if one[6] != other[6]:
            found.append(f"{path!r}: size {one[6]!r} {other[6]!r}")
        if int(other[8]) > int(one[8]) + _SLACK:
            found.append(f"{path!r}: holes were filled, {one[8]!r} {other[8]!r} blocks")
    return found


def _grouping(one: dict[bytes, list[bytes]], other: dict[bytes, list[bytes]]) -> list[str]:
    """Which names are one file."""

    def groups(rows: dict[bytes, list[bytes]]) -> set[frozenset[bytes]]:
        by_inode: dict[bytes, set[bytes]] = {}
        for path, row in rows.items():
            if row[0] != b"d" and int(row[5]) > 1:
                by_inode.setdefault(row[7], set()).add(path)
        return {frozenset(names) for names in by_inode.values()}

    return [f"hard links: {sorted(names)!r}" for names in groups(one) ^ groups(other)]


def _getfattr(at: Path, ignore: Collection[bytes]) -> dict[bytes, bytes]:
    text = _run(["getfattr", "-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."], at)
    found = {}
    for block in text.split(b"\n\n"):
        head, _newline, rest = block.strip(b"\n").partition(b"\n")
        name = head.removeprefix(b"# file: ").removeprefix(b"./")
        if name not in (b"", b".") and name not in ignore:
            found[name] = b"\n".join(sorted(rest.split(b"\n")))
    return found


def _getfacl(at: Path, rows: dict[bytes, list[bytes]]) -> dict[bytes, bytes]:
    paths = sorted(path for path, row in rows.items() if row[0] in (b"f", b"d"))
    found: dict[bytes, bytes] = {}
    for start in range(0, len(paths), 500):
        some = [b"./" + path for path in paths[start : start + 500]]
        for block in _run([b"getfacl", b"-p", b"-n", b"--", *some], at).split(b"\n\n"):
            head, _newline, rest = block.strip(b"\n").partition(b"\n")
            if head:
                found[head] = rest
    return found


def _sums(at: Path, rows: dict[bytes, list[bytes]]) -> dict[bytes, bytes]:
    paths = sorted(path for path, row in rows.items() if row[0] == b"f")
    found: dict[bytes, bytes] = {}
    for start in range(0, len(paths), 500):
        some = paths[start : start + 500]
        output = _run([b"sha256sum", b"-z", b"--", *(b"./" + path for path in some)], at)
        for path, line in zip(some, output.split(b"\0"), strict=False):
            found[path] = line[:64]
    return found


def _texts(what: str, one: dict[bytes, bytes], other: dict[bytes, bytes]) -> list[str]:
    return [
        f"{path!r}: {what} {one.get(path)!r} {other.get(path)!r}"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def _rsync(one: Path, other: Path, ignore: Collection[bytes]) -> list[str]:
    if shutil.which("rsync") is None:
        return []
    command: list[str | bytes] = ["rsync", "-n", "-aHAX", "--delete", "--checksum", "--itemize-changes"]
    command += [b"--exclude=/" + name for name in ignore]
    output = _run([*command, f"{one}/", f"{other}/"], one)
    lines = [line for line in output.splitlines() if line and not line.endswith(b" ./")]
    return [f"rsync: {line!r}" for line in lines]


if __name__ == "__main__":
    for difference in differences(
        Path(sys.argv[1]), Path(sys.argv[2]), [os.fsencode(a) for a in sys.argv[3:]]
    ):
        print(difference)
