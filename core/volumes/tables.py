"""Devices of the device mapper that this program makes by tables of its own, see dmsetup(8).

Each is read-only and bears the name of its session. What others are to read stands between zeros: no
rule of udev recognises anything in it, so the host neither activates a volume group that lies inside, nor
assembles an array, nor makes links to it. A loop device with offset then shows what is wanted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from core import host, tools
from core.command import Command, Limits, Variable
from core.errors import SalvageError
from core.i18n import _
from core.secrets import Secret
from core.undo import mappings
from core.undo.mappings import OwnMapping
from core.undo.pairs import Pair
from core.undo.stack import Stack
from core.volumes.raid import Copies, copies_place

SECTOR = 512
_LONGEST = 120_000
"""Bytes of one argument: the kernel takes 128 KiB (execve(2), MAX_ARG_STRLEN)."""
_PATIENCE = Limits(wall=600.0)
"""dmsetup waits until udev has looked at the device, and a busy host takes its time for that."""
MARGIN = 4 << 20
"""Bytes of zeros before and behind what a hidden device shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table. `start` and `size` are in bytes; `on` are the devices that its target names."""

    start: int
    size: int
    target: str
    on: tuple[str, ...] = ()

    def text(self) -> str:
        return f"{sectors(self.start)} {sectors(self.size)} {self.target}"


@dataclass(frozen=True, slots=True)
class Shown:
    """Where the bytes of something are: `size` of them from byte `begin` of the device `path`."""

    path: str
    begin: int
    size: int


def sectors(count: int) -> int:
    """Bytes as the device mapper counts them."""
    return count // SECTOR


def hidden(lines: Sequence[Line]) -> list[Line]:
    """The lines moved behind `MARGIN` bytes of zeros, and zeros behind them."""
    end = MARGIN + max(one.start + one.size for one in lines)
    moved = [Line(one.start + MARGIN, one.size, one.target, one.on) for one in lines]
    return [Line(0, MARGIN, "zero"), *moved, Line(end, MARGIN, "zero")]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes devices for one session. `what` is the journal's word for them, `why` what is said of them."""

    stack: Stack
    what: str
    session: str
    why: str
    writable: bool

    def create(self, lines: Sequence[Line], *, writable: bool | None = None) -> str:
        """Make a device; its path. Raises `SalvageError` for one in more pieces than a command line takes."""
        name = f"{mappings.PREFIX}{self.session}-{self.stack.number}"
        on = _named(lines)
        access = "rw" if (self.writable if writable is None else writable) else "ro"
        words = f"{name},{name},,{access}," + ",".join(one.text() for one in lines)
        if len(words) > _LONGEST:
            raise SalvageError(
                _("The volume lies on the disk in more pieces than can be put together here."),
                _("The disk is untouched."),
                _("`virt-salvage backup` saves the disk as it is."),
            )
        if any(isinstance(path, Variable) for path in on):
            words = Variable(words)
        return self.stack.put_up(self._pair(("dmsetup", "create", "--concise", words), name, on))

    def create_secretly(self, lines: Sequence[Line]) -> str:
        """The same for a table with a key in it: it goes through a pipe, and stands nowhere."""
        access = () if self.writable else ("--readonly",)
        name = f"{mappings.PREFIX}{self.session}-{self.stack.number}"
        table = Secret("".join(one.text() + "\n" for one in lines).encode())
        with table.handed() as fd:
            argv = ("dmsetup", "create", *access, "--uuid", name, name, f"/dev/fd/{fd}")
            pair = self._pair(argv, name, _named(lines))
            return self.stack.put_up(pair, lambda wanted: self.stack.runner.run(wanted.do, (fd,)))

    def _pair(self, argv: tuple[str, ...], name: str, on: tuple[str, ...]) -> Pair:
        return Pair(
            self.what,
            Command(argv, self.why, _("one device appears, which only this session uses"), limits=_PATIENCE),
            f"/dev/mapper/{name}",
            on,
            facts=lambda: OwnMapping.facts(name),
            planned=OwnMapping.facts(name),
        )

    def copies(self, form: Copies, chunk: int, legs: Sequence[Shown | None], size: int) -> list[Line]:
        """The lines of a RAID10 of `size` bytes, from one copy of each chunk that is there.

        Every so many chunks the legs repeat; what one of them has of these is a device, where the rows
        between belong to others (dm-unstripe), and dm-stripe goes round over all. Raises `SalvageError`
        where all copies of a chunk are missing.
        """
        count = len(legs)
        shared = gcd(count, form.near)
        rows = form.near // shared * (form.far if form.offset else 1)
        period = count // shared
        parts = [self._every(rows, chunk, *_copy(form, chunk, legs, at)) for at in range(period)]
        whole = size // (period * chunk) * period * chunk
        words = " ".join(f"{one.path} {sectors(one.begin)}" for one in parts)
        target = f"striped {period} {sectors(chunk)} {words}" if period > 1 else f"linear {words}"
        lines = [Line(0, whole, target, tuple(dict.fromkeys(one.path for one in parts)))]
        for at in range(whole, size, chunk):
            leg, row = _copy(form, chunk, legs, at // chunk)
            place = f"linear {leg.path} {sectors(leg.begin + row * chunk)}"
            lines.append(Line(at, min(chunk, size - at), place, (leg.path,)))
        return [one for one in lines if one.size]

    def _every(self, rows: int, chunk: int, leg: Shown, row: int) -> Shown:
        """Every so many rows of a leg, from a row on."""
        if rows == 1:
            return Shown(leg.path, leg.begin + row * chunk, leg.size)
        begin = leg.begin + row // rows * rows * chunk
        table = f"unstriped {rows} {sectors(chunk)} {row % rows} {leg.path} {sectors(begin)}"
        size = leg.size // (rows * chunk) * chunk
        return Shown(self.create([Line(0, size, table, (leg.path,))]), 0, size)


def _copy(form: Copies, chunk: int, legs: Sequence[Shown | None], at: int) -> tuple[Shown, int]:
    """The first leg that is there with a copy of a chunk, and the row."""
    for number, row in copies_place(form, at, len(legs)):
        if leg := legs[number]:
            return leg, row
    raise SalvageError(_("All copies of a part of its data are missing."), _("The disk is untouched."))


def _named(lines: Sequence[Line]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for one in lines for path in one.on))


def problem() -> str:
    """Why no such device can be made here, as a sentence; empty when it can."""
    if not host.has_device_mapper():
        return _("The kernel of this host has no device mapper.")
    if not tools.find("dmsetup"):
        return _("dmsetup is not installed.")
    return ""


def require() -> None:
    """Raise SalvageError where no such device can be made."""
    if told := problem():
        raise SalvageError(
            told,
            _("The disk is untouched."),
            _("Open the disk on a host that has the device mapper, with the package dmsetup."),
        )
