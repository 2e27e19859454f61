"""What the guest calls its owners: passwd(5) and group(5) of its own tree."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from core.errors import SalvageError
from core.files.entry import named
from core.files.tree import GuestTree

_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Owners:
    """The numbers of owners and groups that were met, each with its name in the guest; empty: unknown."""

    users: tuple[tuple[int, bytes], ...] = ()
    groups: tuple[tuple[int, bytes], ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "users": [{"uid": number, **named("name", name)} for number, name in self.users],
            "groups": [{"gid": number, **named("name", name)} for number, name in self.groups],
        }


def owners(tree: GuestTree, users: Collection[int], groups: Collection[int]) -> Owners:
    """The names of these numbers, as far as the guest's own files tell them."""
    passwd, group = (names(_read(tree, path)) for path in (b"/etc/passwd", b"/etc/group"))
    return Owners(
        tuple((number, passwd.get(number, b"")) for number in sorted(users)),
        tuple((number, group.get(number, b"")) for number in sorted(groups)),
    )


def names(text: bytes) -> dict[int, bytes]:
    """Name by number; the first one counts, as for getpwuid(3)."""
    found: dict[int, bytes] = {}
    for line in text.split(b"\n"):
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit() and len(fields[2]) < 11:
            found.setdefault(int(fields[2]), fields[0])
    return found


def numbers(text: bytes) -> dict[bytes, int]:
    """Number by name."""
    return {name: number for number, name in reversed(names(text).items())}


def _read(tree: GuestTree, path: bytes) -> bytes:
    parts: list[bytes] = []
    with suppress(SalvageError):
        for piece in tree.read(path):
            parts.append(piece)
            if sum(map(len, parts)) >= _MOST:
                break
    return b"".join(parts)[:_MOST]


def guest_numbers(tree: GuestTree) -> dict[bytes, int]:
    """The numbers of the guest's users by name."""
    return numbers(_read(tree, b"/etc/passwd"))
