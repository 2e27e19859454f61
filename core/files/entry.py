"""One entry of a guest's directory, as it is shown and as `ls --json` tells it."""

import base64
import os
import stat
from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "dir", "symlink", "fifo", "socket", "char", "block"]

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}

_DAY = 86400
_DAYS_TO_1970 = 719468  # from 0000-03-01, where the computation of `_civil` begins
_ERA = 146097  # days in 400 Gregorian years


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a directory and what its inode says. Sizes in bytes, times in nanoseconds since 1970."""

    name: bytes
    kind: Kind
    size: int = 0
    mode: int = 0
    """Permission bits with setuid, setgid and sticky, without the kind."""
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    target: bytes | None = None
    """Where a symbolic link points; None for everything else."""
    device: tuple[int, int] | None = None
    """Major and minor number of a device node."""
    links: int = 1
    error: str = ""
    """Why the inode could not be read; then only the name and a guess of the kind are known."""

    @classmethod
    def of(cls, name: bytes, status: os.stat_result, target: bytes | None = None) -> "Entry":
        """The entry that lstat(2) describes."""
        kind = kind_of(status.st_mode)
        special = kind in ("char", "block")
        return cls(
            name=name,
            kind=kind,
            size=status.st_size,
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=status.st_mtime_ns,
            target=target,
            device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if special else None,
            links=status.st_nlink,
        )

    def to_json(self) -> dict[str, object]:
        """The entry as `ls --json` prints it; bytes that are no UTF-8 come in base64 as well."""
        fields: dict[str, object] = {
            **named("name", self.name),
            "kind": self.kind,
            "size": self.size,
            "mode": f"{self.mode:04o}",
            "uid": self.uid,
            "gid": self.gid,
            "mtime": iso_time(self.mtime_ns),
            "target": None,
        }
        if self.target is not None:
            fields.update(named("target", self.target))
        if self.error:
            fields["error"] = self.error
        return fields


def kind_of(mode: int) -> Kind:
    """The kind that the bits of st_mode name; a kind that Linux does not know counts as a file."""
    return _KINDS.get(stat.S_IFMT(mode), "file")


def named(key: str, value: bytes) -> dict[str, str]:
    """`value` under `key` as text, and under ``KEY_b64`` too when it is not UTF-8."""
    try:
        return {key: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {key: value.decode("utf-8", "replace"), f"{key}_b64": base64.b64encode(value).decode("ascii")}


def iso_time(nanoseconds: int) -> str:
    """ISO 8601 in UTC, with nanoseconds where there are any.

    Years outside 0000 to 9999, which a damaged or hostile inode may hold, come as the standard's
    expanded form with a sign.
    """
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    days, second = divmod(seconds, _DAY)
    year, month, day = _civil(days)
    years = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+05d}"
    fraction = f".{rest:09d}" if rest else ""
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{years}-{month:02d}-{day:02d}T{clock}{fraction}Z"


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day in the proleptic Gregorian calendar of a number of days since 1970.

    Years that begin in March make the leap day the last one, so that no table is needed.
    """
    era, day_of_era = divmod(days + _DAYS_TO_1970, _ERA)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day
